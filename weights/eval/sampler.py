"""Sampling as the engine's default has it: DPM-Solver++(2M), cosine schedule, static clipping, any guidance."""

import math
from dataclasses import dataclass

import torch

from diffusion import v_of
from tokenizer import END


@dataclass(frozen=True)
class Settings:
    """The engine's names and defaults."""

    steps: int = 20
    mode: str = "interleaved"  # interleaved, entangled, text-only or none; without neighbours never by them
    eta: float = 0.5  # share of text-enhanced steps
    gamma_p: float = 3.0
    gamma_n: float = 6.0


def levels_of(steps):
    """alpha, sigma of the points from noise to picture."""
    times = [1 - i / steps for i in range(steps + 1)]
    # The sine of 1 - t, not the cosine of t, so that alpha is exactly 0 at t = 1.
    return times, [(math.sin(math.pi / 2 * (1 - t)), math.sin(math.pi / 2 * t)) for t in times]


def update(previous, start, end):
    """Coefficients of x, x0 and the x0 before, of one step; `previous` is None for a first-order step."""
    (alpha, sigma), (next_alpha, next_sigma) = start, end
    cx = next_sigma / sigma
    gain = next_alpha - cx * alpha
    correction = 0.0
    if previous and previous[0] > 0:
        logs = [math.log(a / s) for a, s in (previous, start, end)]
        correction = 0.5 * (logs[2] - logs[1]) / (logs[1] - logs[0])
    return cx, gain * (1 + correction), -gain * correction


def bases(settings, any_neighbours):
    """For each step what the weaker evaluation is shown (text, neighbours), and the weight; None without guidance."""
    if settings.mode == "none":
        return [None] * settings.steps
    chosen = []
    for step in range(settings.steps):
        if settings.mode == "entangled" and any_neighbours:
            chosen.append(((False, False), settings.gamma_p))
            continue
        texts_before, texts_after = (math.floor(at * settings.eta + 1e-6) for at in (step, step + 1))
        by_text = not any_neighbours or settings.mode == "text-only" or texts_after > texts_before
        chosen.append(((False, True), settings.gamma_p) if by_text else ((True, False), settings.gamma_n))
    return chosen


@torch.no_grad()
def draw(model, ids, neighbours, noise, settings, kind="v", low=None):
    """ids [B, T]; neighbours (pictures [B, K, 3, S, S], ids, keep) or None; noise [B, 3, S, S]; low: what a super-resolution stage
    starts from, (pictures upsampled and noised, level [B]), or None -> pictures in [-1, 1]."""
    count, device = len(ids), ids.device
    untold = torch.zeros_like(ids)
    untold[:, 0] = END
    seen = model.encode_neighbors(*neighbours) if neighbours else None
    picture, level = low or (None, None)
    times, points = levels_of(settings.steps)
    x, before = noise, None
    for step, base in enumerate(bases(settings, bool(neighbours))):
        t = torch.full((count,), times[step], device=device)
        entry = x if picture is None else torch.cat([x, picture], 1)
        # Both evaluations at once; what one does not see is masked.
        shown = [(True, True)] if base is None else [(True, True), base[0]]
        near = seen and [
            (torch.cat([tokens] * len(shown)), torch.cat([mask if sees else torch.zeros_like(mask) for _, sees in shown]))
            for tokens, mask in seen
        ]
        entries = torch.cat([entry] * len(shown)).contiguous(memory_format=torch.channels_last)
        told = torch.cat([ids if text else untold for text, _ in shown])
        levels = level if level is None else torch.cat([level] * len(shown))
        prediction = model(entries, torch.cat([t] * len(shown)), told, near, levels).float()
        v, *less = (v_of(part, t, x, kind) for part in prediction.chunk(len(shown)))
        if less:
            v = less[0] + base[1] * (v - less[0])
        alpha, sigma = points[step]
        clean = (alpha * x - sigma * v).clamp(-1, 1)
        is_last = step == settings.steps - 1
        cx, c0, c1 = update(points[step - 1] if step and not is_last else None, points[step], points[step + 1])
        x = cx * x + c0 * clean + (c1 * before if before is not None else 0)
        before = clean
    return x.clamp(-1, 1)
