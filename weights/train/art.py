"""The drawings that `npm run data` wrote, and who may see them."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parent.parent / "data" / "out"


@dataclass
class Art:
    """Drawings in memory. Index i runs over drawings."""

    size: int
    sha256: str
    pixels: torch.Tensor  # uint8 [N, S, S, 4], straight alpha, mapped from the file
    entities: list  # name of each drawing's entity
    tags: list
    groups: list
    families: list  # styles of one family draw an entity nearly alike
    styles: list
    boxes: torch.Tensor  # float [N, 4]: left, top, right, bottom of what can be seen, in [-1, 1]
    held_out: dict  # "first" and "second": lists of entities
    of_entity: dict = field(default_factory=dict)  # name -> indices

    @property
    def trained(self):
        """Names of the entities that training may see, sorted."""
        hidden = {*self.held_out["first"], *self.held_out["second"]}
        return sorted(name for name in self.of_entity if name not in hidden)

    def take(self, indices):
        """Drawings as float [n, 4, S, S] in [0, 255]."""
        return self.pixels[indices].permute(0, 3, 1, 2).float()


def read_art(size, folder=DATA, left_out=()):
    """Reads art-SIZE.bin and art-SIZE.json; drawings in the styles `left_out` are never drawn."""
    stem = Path(folder) / f"art-{size}"
    index = json.loads(stem.with_suffix(".json").read_text())
    records = index["pictures"]
    # Copied on write, never written: processes share the file's pages.
    raw = np.memmap(stem.with_suffix(".bin"), np.uint8, "c", shape=(len(records), size, size, 4))
    art = Art(
        size=size,
        sha256=index["sha256"],
        pixels=torch.from_numpy(raw),
        entities=[record["entity"] for record in records],
        tags=[record["tags"] for record in records],
        groups=[record["group"] for record in records],
        families=[index["families"][record["style"]] for record in records],
        styles=[record["style"] for record in records],
        boxes=torch.tensor([record["box"] for record in records]).float() / size * 2 - 1,
        held_out=index["heldOut"],
    )
    for i, entity in enumerate(art.entities):
        if art.styles[i] in left_out:
            continue
        art.of_entity.setdefault(entity, []).append(i)
    return art


def on_white(rgba):
    """[..., 4, H, W] -> [..., 3, H, W], both in [0, 255]."""
    alpha = rgba[..., 3:, :, :] / 255
    return rgba[..., :3, :, :] * alpha + 255 * (1 - alpha)
