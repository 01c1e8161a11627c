"""The process that training and sampling share: noise levels, the loss, guided DDIM."""

import torch
import torch.nn.functional as F

from reimagen import cosine
from tokenizer import END

# Below the noise level where 1 + SNR passes this, a level counts less: there the eye sees no difference.
MOST_WEIGHT = 5.0


def draw_levels(count, generator, most=MOST_WEIGHT):
    """count values of t in (0, 1), spread evenly over the density min(1, most * sigma(t)^2)."""
    t = (torch.arange(4096) + 0.5) / 4096
    density = (most * cosine(t)[1] ** 2).clamp(max=1)
    total = density.cumsum(0) / density.sum()
    at = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    levels = t[torch.searchsorted(total, at).clamp(max=4095)] + (torch.rand(count, generator=generator) - 0.5) / 4096
    return levels[torch.randperm(count, generator=generator)]


def add_noise(x, t, noise):
    """The picture at level t."""
    alpha, sigma = levels(t)
    return alpha * x + sigma * noise


def v_of(prediction, t, noisy, kind):
    """What the model predicted, as v; `kind` is "v" or "x0"."""
    alpha, sigma = levels(t)
    return prediction if kind == "v" else (alpha * noisy - prediction) / sigma.clamp(min=0.02)


def loss(prediction, x, t, noise, kind, weight=None, scale=None):
    """Mean square error of v. A model that predicts x0 is judged by the v that follows from it. weight [B, 1, S, S]: of each pixel;
    scale [B]: what v is made of the network's output by, so that the error is that of the output."""
    alpha, sigma = levels(t)
    if kind == "v":
        error = (prediction - (alpha * noise - sigma * x)).square()
    else:
        error = ((prediction - x) / sigma.clamp(min=0.02)).square()
    if scale is not None:
        error = error / scale.square()[:, None, None, None]
    return error.mean() if weight is None else (error * weight).mean() / weight.mean()


def noised_low(x, factor, level, generator):
    """The low-resolution picture of x, noised to `level` [B] and then upsampled (bilinear), so that the noise is one that such pictures may have."""
    low = F.avg_pool2d(x, factor)
    return upsampled(add_noise(low, level, torch.randn(low.shape, generator=generator)), factor)


def upsampled(picture, factor):
    return F.interpolate(picture, scale_factor=factor, mode="bilinear", align_corners=False)


def levels(t):
    """alpha and sigma, each [B, 1, 1, 1]."""
    return (part[:, None, None, None] for part in cosine(t))


@torch.no_grad()
def sample(model, ids, neighbours, noise, kind="v", low=None, steps=30, gamma=3.0, eta=0.5):
    """DDIM with interleaved guidance (text-enhanced in a share `eta` of the steps, neighbour-enhanced in the others).

    neighbours: (pictures, ids, keep), keep all false for none: then the text alone guides; None for a stage that sees none.
    low: (picture, level) for super-resolution; gamma = 1 for no guidance. -> x in [-1, 1].
    """
    seen = model.encode_neighbors(*neighbours) if neighbours else None
    unseen = seen and [(tokens, torch.zeros_like(mask)) for tokens, mask in seen]
    untold = torch.zeros_like(ids)
    untold[:, 0] = END
    if not neighbours or not neighbours[2].any():
        eta = 1.0
    picture, level = low or (None, None)
    x, due = noise, 0.0
    for step in range(steps):
        t, until = (torch.full((len(x),), 1 - at / steps, device=x.device) for at in (step, step + 1))
        entry = x if low is None else torch.cat([x, picture], 1)

        def v(text, near, entry=entry, t=t, x=x):
            return v_of(model(entry, t, text, near, level).float(), t, x, kind)

        full = v(ids, seen)
        if gamma != 1:
            due += eta
            text_enhanced = due >= 1 - 1e-6
            due -= text_enhanced
            less = v(untold, seen) if text_enhanced else v(ids, unseen)
            full = less + gamma * (full - less)
        (alpha, sigma), (next_alpha, next_sigma) = levels(t), levels(until)
        clean = (alpha * x - sigma * full).clamp(-1, 1)
        x = next_alpha * clean + next_sigma * (x - alpha * clean) / sigma.clamp(min=1e-4)
    return clean
