"""The judge: names the thing, the scene and the art style in a picture. `python3 recogniser.py --out RUN` trains it.

It shares no weights with what it judges. It is trained on composed scenes of every entity, those held out included, blurred and noised
so that it also reads what a model draws. Its own hits on clean scenes that it has not seen are the ceiling of what it can find.
"""

import json
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "train"))

import loop
from art import DATA, read_art
from scenes import Recipe, Scenes
from tensors import read_safetensors
from tokenizer import Tokenizer

TOKENIZER = HERE / "../emoji-64/tokenizer.json"
# No invented names, no neighbours: a judge needs none.
RECIPE = dict(second=0.15, invented=0, wrong=0, drop_neighbours=0, drop_text=0, counts=(), backgrounds=48)
CEILING_STEP, CEILING_SCENES = 10**9, 2048  # a step that no training reaches


@dataclass
class Config:
    """Tuples have one entry a level, finest first."""

    patch: int = 4
    channels: tuple = (64, 128, 256)
    blocks: tuple = (1, 2, 2)


class Block(nn.Module):
    """Two convolutions behind batch norms, added to what came in."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))

    def forward(self, x):
        return x + self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class Recogniser(nn.Module):
    """pictures [B, 3, 64, 64] in [-1, 1] -> scores of entities, scenes, styles. `names`, `kinds`, `styles`: what the columns mean."""

    def __init__(self, names, kinds, styles, config=None):
        super().__init__()
        config = config or Config()
        self.names, self.kinds, self.styles, self.config = list(names), list(kinds), list(styles), config
        self.stem = nn.Conv2d(3 * config.patch**2, config.channels[0], 3, padding=1)
        self.levels, self.shrink = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(config.channels):
            if level:
                self.shrink.append(nn.Conv2d(config.channels[level - 1], width, 3, stride=2, padding=1))
            self.levels.append(nn.ModuleList(Block(width) for _ in range(config.blocks[level])))
        last = config.channels[-1]
        self.norm, self.even = nn.BatchNorm2d(last), nn.BatchNorm1d(2 * last)
        # Cosines to one direction an entity: with few pictures of each of many entities this learns much faster than free scores.
        # Short, so that the optimizer's steps turn them soon.
        self.directions = nn.Parameter(0.05 * torch.randn(len(names), 2 * last))
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.scene, self.style = (nn.Linear(2 * last, len(part)) for part in (kinds, styles))

    def features(self, x):
        """Mean and greatest value of each channel of the coarsest feature map, [B, 2C]: also what the Frechet distance compares."""
        h = self.stem(F.pixel_unshuffle(x, self.config.patch))
        for level, blocks in enumerate(self.levels):
            if level:
                h = self.shrink[level - 1](h)
            for block in blocks:
                h = block(h)
        h = F.relu(self.norm(h)).flatten(2)
        return self.even(torch.cat([h.mean(2), h.amax(2)], 1).float())

    def forward(self, x):
        found = self.features(x)
        entity = F.normalize(found, dim=1) @ F.normalize(self.directions, dim=1).T * self.scale.exp()
        return entity, self.scene(found), self.style(found)


class Judged:
    """Batches of scenes with what they show: one or two entities, the scene, the first thing's style."""

    def __init__(self, art, tokenizer, seed):
        self.scenes = Scenes(art, tokenizer, 32, Recipe(**RECIPE), seed, names=sorted(art.of_entity))
        self.entity_of = {name: i for i, name in enumerate(self.scenes.names)}
        self.styles = sorted(set(art.styles))

    def batch(self, step, count, clean=False):
        """-> x, entities [B, 2] (twice the same where there is one), scene [B], style [B]."""
        batch, art = self.scenes.batch(step, count), self.scenes.art
        shown = [[slot.drawing for slot in sample["slots"]] for sample in batch["samples"]]
        entities = [[self.entity_of[art.entities[i]] for i in (drawings[0], drawings[-1])] for drawings in shown]
        return dict(
            x=batch["x"] if clean else degraded(batch["x"], torch.Generator().manual_seed(step)),
            entities=torch.tensor(entities),
            scene=torch.tensor([self.scenes.kinds.index(sample["kind"]) for sample in batch["samples"]]),
            style=torch.tensor([self.styles.index(art.styles[drawings[0]]) for drawings in shown]),
        )  # fmt: skip


def degraded(x, noise):
    """Scenes as a model might draw them: moved, coloured otherwise, blurred, noisy; a third as they are."""
    count = len(x)

    def some(share):
        return torch.rand(count, generator=noise) < share

    move = ((torch.rand(count, 2, generator=noise) - 0.5) * 0.16)[..., None]
    scale = 1 + (torch.rand(count, 1, 1, generator=noise) - 0.5) * 0.24
    theta = torch.cat([torch.eye(2).expand(count, 2, 2) * scale, move], 2)
    theta[some(0.33)] = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    where = F.affine_grid(theta, x.shape, align_corners=False)
    x = F.grid_sample(x, where, padding_mode="reflection", align_corners=False)
    gain = 1 + (torch.rand(count, 1, 1, 1, generator=noise) - 0.5) * 0.5
    shift = 0.08 * torch.randn(count, 3, 1, 1, generator=noise)
    colored = some(0.5)
    x[colored] = (x * gain + shift)[colored]
    for factor, share in ((2, 0.3), (4, 0.08)):
        rows = some(share)
        x[rows] = F.interpolate(F.avg_pool2d(x[rows], factor), scale_factor=factor, mode="bilinear")
    rows = some(0.3)
    x[rows] += (0.2 * torch.rand(count, 1, 1, 1, generator=noise) * torch.randn(x.shape, generator=noise))[rows]
    return x.clamp(-1, 1)


def load(path, device="cpu"):
    """A trained recogniser, of a `checkpoint.pt` or a folder by `recogniser_export.py`, and what it measured of itself."""
    path = Path(path)
    if path.is_dir():
        plan = json.loads((path / "config.json").read_text())
        weights, measured = read_safetensors(path / "model.safetensors"), plan["measured"]
    else:
        saved = torch.load(path, map_location="cpu")
        plan, weights, measured = saved["plan"], saved["model"], saved.get("measured", {})
    model = Recogniser(plan["names"], plan["kinds"], plan["styles"], Config(**plan["model"]))
    own = model.state_dict()
    model.load_state_dict(own | {name: tensor.to(own[name].dtype) for name, tensor in weights.items()})
    return model.to(device).eval(), measured


@torch.no_grad()
def ceiling(model, judged, art):
    """Its hits on clean scenes from a seed of their own. Frequent and held-out entities apart."""
    lists = {name: which for which, names in art.held_out.items() for name in names}
    hits = {}
    device = next(model.parameters()).device
    for step in range(CEILING_SCENES // 128):
        batch = judged.batch(CEILING_STEP + step, 128, clean=True)
        entity, scene, style = (part.float().cpu() for part in model(batch["x"].to(device)))
        best, five = entity.argmax(1), entity.topk(5).indices
        for row, (first, second) in enumerate(batch["entities"].tolist()):
            found = hits.setdefault
            if first != second:
                continue
            which = lists.get(judged.scenes.names[first], "frequent")
            found(f"entity_{which}", []).append(best[row].item() == first)
            found(f"entity_{which}_at_5", []).append(first in five[row].tolist())
            found("scene", []).append(scene[row].argmax() == batch["scene"][row])
            found("style", []).append(style[row].argmax() == batch["style"][row])
    return {name: round(float(torch.tensor(rows).float().mean()), 4) for name, rows in sorted(hits.items())}


def main():
    options = loop.parse_options(__doc__)
    plan = dict(seed=11, batch=128, rate=2e-3, warmup=60, steps=5000, decay=0.6, model=asdict(Config()))
    plan = loop.complete(plan, options)
    torch.manual_seed(plan["seed"])
    art = read_art(64, options.data or DATA)
    judged = Judged(art, Tokenizer(TOKENIZER), plan["seed"])
    plan.update(names=judged.scenes.names, kinds=judged.scenes.kinds, styles=judged.styles, art=art.sha256)
    model = Recogniser(plan["names"], plan["kinds"], plan["styles"], Config(**plan["model"]))

    def loss_of(batch):
        entity, scene, style = (part.float() for part in model(batch["x"]))
        things = sum(F.cross_entropy(entity, batch["entities"][:, i], label_smoothing=0.05) for i in range(2)) / 2
        return things + 0.5 * F.cross_entropy(scene, batch["scene"]) + 0.2 * F.cross_entropy(style, batch["style"])

    loop.fit(model, judged, loss_of, plan, options, lambda: ceiling(model, judged, art))


if __name__ == "__main__":
    main()
