"""What the recogniser finds in a row's pictures, and the row's numbers."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

import metrics

PART = 128
# Where each of two things is looked for: squares of this side, this far down, at the left and at the right edge; pixels of 64.
HALF, DOWN = 36, 18


@dataclass
class Verdict:
    """One entry a picture."""

    named: np.ndarray  # the entity asked for is the best guess
    among_five: np.ndarray
    both: np.ndarray  # two things asked for: they are the best guesses in both halves
    scene: np.ndarray
    style: list  # best guess
    guess: list  # best entity
    sure: np.ndarray  # its probability
    features: np.ndarray


@torch.no_grad()
def judge(recogniser, pictures, cases):
    """pictures [N, 3, S, S] in [-1, 1]; bytes, as a file has them, are what counts."""
    device = next(recogniser.parameters()).device
    entities, scenes, styles, features = [], [], [], []
    for begin in range(0, len(pictures), PART):
        part = ((pictures[begin : begin + PART] + 1) * 127.5).round() / 127.5 - 1
        part = part.to(device)
        found = recogniser(part)
        for into, values in zip((entities, scenes, styles), found):
            into.append(values.float().cpu())
        features.append(recogniser.features(part).float().cpu())
    entities, scenes, styles = (torch.cat(part) for part in (entities, scenes, styles))
    names = {name: i for i, name in enumerate(recogniser.names)}
    asked = torch.tensor([names[case.entity] for case in cases])
    five = entities.topk(5).indices
    # [N, places, 5]: in one place, the whole, or in two.
    places = five[:, None]
    both = np.zeros(len(cases), bool)
    if cases[0].second:
        places = torch.stack([scores.topk(5).indices for scores in halves(recogniser, pictures)], 1)
        best = places[:, :, 0].tolist()
        both = np.array([{names[case.entity], names[case.second]} == set(found) for case, found in zip(cases, best)])
    hits = places == asked[:, None, None]
    return Verdict(
        named=hits[:, :, 0].any(1).numpy(),
        among_five=hits.any(2).any(1).numpy(),
        both=both,
        scene=(scenes.argmax(1) == torch.tensor([recogniser.kinds.index(case.kind) for case in cases])).numpy(),
        style=[recogniser.styles[i] for i in styles.argmax(1)],
        guess=[recogniser.names[i] for i in five[:, 0]],
        sure=entities.softmax(1).amax(1).numpy(),
        features=torch.cat(features).numpy(),
    )


def halves(recogniser, pictures):
    """Scores of entities in the left and in the right half, where prompts with two things have them."""
    device, size = next(recogniser.parameters()).device, pictures.shape[-1]
    side, top = HALF * size // 64, DOWN * size // 64
    for left in (0, size - side):
        parts = pictures[:, :, top : top + side, left : left + side].split(PART)
        yield torch.cat([recogniser(F.interpolate(part.to(device), size, mode="bilinear"))[0].float().cpu() for part in parts])


def summary(verdict, cases, reference, row=None):
    """Numbers of a row within one group: shares with their intervals, distances to the features `reference` of real scenes."""
    clusters = [case.entity for case in cases]

    def share(hits):
        return [round(value, 4) for value in metrics.interval(hits, clusters)]

    found = dict(pictures=len(cases), entity=share(verdict.named), entity_at_5=share(verdict.among_five), scene=share(verdict.scene))
    if cases[0].second:
        found["both"] = share(verdict.both)
    if row and row.source.startswith("style:"):
        found["style"] = share([style == row.source[6:] for style in verdict.style])
    seeds = sorted({case.seed for case in cases})
    found["entity_by_seed"] = [
        round(float(np.mean([hit for hit, case in zip(verdict.named, cases) if case.seed == seed])), 4) for seed in seeds
    ]
    if reference is not None and len(cases) > metrics.COMPONENTS:
        mean, directions = metrics.principal(reference)
        ours, real = (verdict.features - mean) @ directions, (reference - mean) @ directions
        found["frechet"] = round(metrics.frechet(ours, real), 3)
        found["kernel"] = round(metrics.kernel_distance(verdict.features, reference), 5)
    return found
