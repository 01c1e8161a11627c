"""The process that training and sampling share: noise levels, the v-target, guided DDIM."""

import math

import torch

from reimagen import cosine
from tokenizer import END

# Below the noise level where 1 + SNR passes this, a level counts less: there the eye sees no difference.
MOST_WEIGHT = 5.0


def draw_levels(count, generator):
    """count values of t in (0, 1), spread evenly over the density min(1, MOST_WEIGHT * sigma(t)^2)."""
    t = (torch.arange(4096) + 0.5) / 4096
    density = (MOST_WEIGHT * cosine(t)[1] ** 2).clamp(max=1)
    total = density.cumsum(0) / density.sum()
    at = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    levels = t[torch.searchsorted(total, at).clamp(max=4095)] + (torch.rand(count, generator=generator) - 0.5) / 4096
    return levels[torch.randperm(count, generator=generator)]


def add_noise(x, t, noise):
    """-> the noisy picture and the v that it asks for."""
    alpha, sigma = (part[:, None, None, None] for part in cosine(t))
    return alpha * x + sigma * noise, alpha * noise - sigma * x


@torch.no_grad()
def sample(model, ids, neighbours, noise, steps=30, gamma=3.0, eta=0.5):
    """DDIM with interleaved guidance (text-enhanced in a share `eta` of the steps, neighbour-enhanced in the others).

    neighbours: (pictures, ids, keep), keep all false for none: then the text alone guides. -> x in [-1, 1].
    """
    pictures, neighbour_ids, keep = neighbours
    seen = model.encode_neighbors(pictures, neighbour_ids, keep)
    unseen = [(tokens, torch.zeros_like(mask)) for tokens, mask in seen]
    untold = torch.zeros_like(ids)
    untold[:, 0] = END
    if not keep.any():
        eta = 1.0
    x, due = noise, 0.0
    for step in range(steps):
        t, until = 1 - step / steps, 1 - (step + 1) / steps
        times = torch.full((len(x),), t, device=x.device)
        due += eta
        text_enhanced = due >= 1 - 1e-6
        due -= text_enhanced
        both = model(x, times, ids, seen).float()
        less = model(x, times, *((untold, seen) if text_enhanced else (ids, unseen))).float()
        v = less + gamma * (both - less)
        (alpha, sigma), (next_alpha, next_sigma) = ((math.cos(u * math.pi / 2), math.sin(u * math.pi / 2)) for u in (t, until))
        clean = (alpha * x - sigma * v).clamp(-1, 1)
        x = next_alpha * clean + next_sigma * (x - alpha * clean) / max(sigma, 1e-4)
    return clean
