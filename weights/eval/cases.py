"""What every row draws: entities, scenes and seeds, the same for all rows, so that rows differ in nothing but what they are about."""

import random
from dataclasses import dataclass

import torch

from captions import kinds, scene_caption
from scenes import Slot


@dataclass(frozen=True)
class Case:
    group: str  # frequent, first or second: the list that the entity is of
    entity: str
    kind: str  # of the scene
    seed: int
    prompt: str
    second: str = ""  # another entity of the same group, or none


def groups_of(art, entities, final):
    """Entities by group, at most so many of each; the second held-out list only for the last judgement."""
    rng = random.Random(17)
    groups = {"frequent": art.trained, "first": sorted(art.held_out["first"])}
    if final:
        groups["second"] = sorted(art.held_out["second"])
    return {group: sorted(rng.sample(names, min(entities, len(names)))) for group, names in groups.items()}


def cases_of(group, names, seeds, pairs=False):
    """A case for each entity and seed; with `pairs` each has a second thing."""
    cases = []
    for seed in range(seeds):
        for name in names:
            rng = random.Random(f"{group}/{name}/{seed}/{pairs}")
            kind = rng.choice(kinds())
            second = rng.choice([other for other in names if other != name]) if pairs else ""
            prompt = scene_caption(name, kind, rng, second=second)
            cases.append(Case(group, name, kind, seed, prompt, second))
    return cases


def noise_of(cases, size):
    """[N, 3, S, S]: of a case's seed and entity alone."""
    return torch.stack([
        torch.randn(3, size, size, generator=torch.Generator().manual_seed(random.Random(f"{c.entity}/{c.seed}").getrandbits(62)))
        for c in cases
    ])


def real_scenes(scenes, cases, round_):
    """What training would have shown for these cases, drawn from the entities' art: [N, 3, S, S] in [-1, 1]. Rounds differ in everything else."""
    rng, samples = random.Random(f"real/{round_}"), []
    for case in cases:
        drawing = rng.choice(scenes.art.of_entity[case.entity])
        if case.second:
            other = rng.choice(scenes.art.of_entity[case.second])
            y = rng.uniform(-0.05, 0.25)
            slots = [Slot(drawing, rng.uniform(0.38, 0.45), -0.47, y), Slot(other, rng.uniform(0.38, 0.45), 0.47, y)]
        else:
            slots = [Slot(drawing, rng.uniform(0.54, 0.7), rng.uniform(-0.1, 0.1), rng.uniform(0, 0.2))]
        samples.append(dict(
            slots=slots, kind=case.kind, turn=0.0, join=None, mirror=rng.random() < 0.3, neighbours=[], caption=case.prompt,
            text=case.prompt, corner=(0, 0),
        ))  # fmt: skip
    noise = torch.Generator().manual_seed(rng.getrandbits(62))
    return torch.cat([scenes.render(samples[at : at + 64], noise)["x"] for at in range(0, len(samples), 64)])
