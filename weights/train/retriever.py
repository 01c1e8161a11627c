"""Learned retrieval: a dual encoder of texts and pictures, trained by contrast (Radford et al., 2021) on the training entities alone.

`python3 retriever.py --out RUN` trains; `python3 retriever_export.py RUN/checkpoint.pt FOLDER` writes what the engine reads.
A text and a picture become unit vectors of `dim` numbers. What the database keeps of an entry is the unit sum of its picture's
vector and its text's (`entry_text`): the picture tells what no word says, and the words tell what the picture tower never saw.
"""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import loop
from art import DATA, read_art
from captions import POSITIONS, SMALL, BIG, invented_name, kinds, neighbour_caption, scene_caption, with_article
from reimagen import Config as TextConfig, TextEncoder
from scenes import premultiplied, turn_hues
from tokenizer import Tokenizer, words as spelled

HERE = Path(__file__).parent
TOKENIZER = HERE / "../emoji-64/tokenizer.json"
INVENTED = 0.5  # share of pairs whose thing has another name


@dataclass
class Config:
    """What `config.json` of a retriever holds. Tuples have one entry a level, finest first."""

    size: int = 64  # side of the picture, pixels
    patch: int = 4  # pixel-unshuffle factor of the stem
    channels: tuple = (64, 128)  # each level has half the side of the one before
    blocks: tuple = (2, 1)  # residual blocks
    norm_groups: int = 16
    text_dim: int = 96
    text_layers: int = 2
    text_heads: int = 4
    text_ff: int = 192
    text_len: int = 32
    vocab: int = 4096
    dim: int = 96  # of the vectors


class Block(nn.Module):
    """Two convolutions behind group norms, added to what came in."""

    def __init__(self, width, groups):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, width), nn.GroupNorm(groups, width)
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class ImageTower(nn.Module):
    """pictures [B, 3, S, S] in [-1, 1] -> [B, dim], not yet of unit length."""

    def __init__(self, config):
        super().__init__()
        self.patch = config.patch
        first, last = config.channels[0], config.channels[-1]
        self.stem = nn.Conv2d(3 * config.patch**2, first, 3, padding=1)
        self.levels, self.shrink = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(config.channels):
            if level:
                self.shrink.append(nn.Conv2d(config.channels[level - 1], width, 3, stride=2, padding=1))
            self.levels.append(nn.ModuleList(Block(width, config.norm_groups) for _ in range(config.blocks[level])))
        self.norm = nn.GroupNorm(config.norm_groups, last)
        # Not the mean of all places: what stands above and what below tells things apart.
        self.places = config.size // config.patch >> len(config.channels)
        self.out = nn.Linear(self.places**2 * last, config.dim)

    def forward(self, x):
        h = self.stem(F.pixel_unshuffle(x, self.patch))
        for level, blocks in enumerate(self.levels):
            if level:
                h = self.shrink[level - 1](h)
            for block in blocks:
                h = block(h)
        h = F.silu(self.norm(h))
        return self.out(F.pixel_unshuffle(F.avg_pool2d(h, 2), self.places).flatten(1))


class TextTower(nn.Module):
    """ids [B, T] -> [B, dim], not yet of unit length."""

    def __init__(self, config):
        super().__init__()
        sizes = {name: getattr(config, name) for name in ("text_dim", "text_layers", "text_heads", "text_ff", "vocab")}
        self.text = TextEncoder(TextConfig(**sizes))
        self.out = nn.Linear(config.text_dim, config.dim)

    def forward(self, ids):
        tokens, mask = self.text(ids)
        return self.out((tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))


class Retriever(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.image, self.words = ImageTower(config), TextTower(config)
        self.scale = nn.Parameter(torch.tensor(3.0))  # log of the inverse temperature

    def pictures(self, x):
        return F.normalize(self.image(x).float(), dim=1)

    def texts(self, ids):
        return F.normalize(self.words(ids).float(), dim=1)


def joined(pictures, texts):
    """What the database keeps of an entry."""
    return F.normalize(pictures + texts, dim=1)


def entry_text(entity, tags):
    """The words of an entry, as src/retrieval has them."""
    return ", ".join([entity, *tags])


class Pairs:
    """Batches of (prompt, picture, words of the entry), each of another entity, so that every other pair in a batch is wrong."""

    def __init__(self, art, tokenizer, length, seed):
        self.art, self.tokenizer, self.length, self.seed = art, tokenizer, length, seed
        self.kinds = kinds()
        unseen = set(held_out_drawings(art))
        self.drawings = {name: [i for i in art.of_entity[name] if i not in unseen] for name in art.trained}
        self.names = [name for name in art.trained if self.drawings[name]]
        hidden = {word for names in art.held_out.values() for name in names for word in spelled(name)}
        self.words = sorted(word for word in tokenizer.vocab if word.isalpha() and len(word) > 2 and word not in hidden)

    def batch(self, step, count):
        """-> x [B, 3, S, S] in [-1, 1], prompt and entry ids [B, T], and `named` [B]: whether the picture alone can tell what the
        prompt means. Where it cannot, the name is invented: prompt and words then meet by their letters, as with unknown things."""
        rng = random.Random(f"{self.seed}/{step}")
        noise = torch.Generator().manual_seed(rng.getrandbits(62))
        names = rng.sample(self.names, min(count, len(self.names)))
        drawings = [rng.choice(self.drawings[name]) for name in names]
        prompts, words, named = [], [], []
        for name, drawing in zip(names, drawings):
            known = rng.random() >= INVENTED
            called = name if known else self.invent(rng)
            # As of a new thing, the tags may be words that training says nothing of.
            tags = self.art.tags[drawing] if known or rng.random() < 0.5 else rng.sample(self.words, rng.randint(1, 8))
            some = rng.sample(tags, rng.randint(0, len(tags))) if rng.random() < 0.8 else []
            prompts.append(self.prompt(rng, called, tags if known else some))
            words.append(entry_text(called, some) if some or rng.random() < 0.5 else neighbour_caption(called, rng))
            named.append(known)
        return dict(
            x=augmented(self.art, drawings, noise),
            prompts=self.ids(prompts), words=self.ids(words), named=torch.tensor(named),
        )  # fmt: skip

    def invent(self, rng):
        """A name that says nothing of the thing: syllables, or words of the vocabulary, which are as good as new to most things."""
        if rng.random() < 0.4:
            return invented_name(rng)
        return " ".join(rng.sample(self.words, rng.choice((1, 1, 2))))

    def prompt(self, rng, name, tags):
        if tags and rng.random() < 0.2:
            name = " ".join(rng.sample(tags, min(len(tags), rng.choice((1, 1, 2)))))
        lot, more = rng.random(), {}
        if lot < 0.15:
            more = dict(second=rng.choice(self.names))
        elif lot < 0.3:
            more = dict(position=rng.choice(list(POSITIONS)))
        elif lot < 0.4:
            more = dict(size=rng.choice(SMALL + BIG))
        elif lot < 0.5:
            more = dict(count=rng.choice((2, 3)))
        elif lot < 0.65:
            return rng.choice((name, with_article(name), neighbour_caption(name, rng)))
        return scene_caption(name, rng.choice(self.kinds), rng, **more)

    def ids(self, texts):
        return torch.tensor([self.tokenizer.ids(text, self.length) for text in texts])


def augmented(art, drawings, noise):
    """Drawings moved, turned a little, mirrored, on flat grounds (half of them white), some blurred or noisy."""
    count = len(drawings)
    scale = 1 / (0.7 + 0.45 * torch.rand(count, generator=noise))
    angle = (torch.rand(count, generator=noise) - 0.5) * 0.5
    flip = torch.where(torch.rand(count, generator=noise) < 0.5, -1.0, 1.0)
    move = (torch.rand(count, 2, generator=noise) - 0.5) * 0.3
    turning = torch.stack([
        torch.stack([flip * angle.cos() * scale, -angle.sin() * scale, move[:, 0]], 1),
        torch.stack([flip * angle.sin() * scale, angle.cos() * scale, move[:, 1]], 1),
    ], 1)
    where = F.affine_grid(turning, (count, 4, art.size, art.size), align_corners=False)
    drawn = F.grid_sample(premultiplied(art.take(drawings)), where, align_corners=False)
    ground = 255 * torch.rand(count, 3, 1, 1, generator=noise)
    ground[torch.rand(count, generator=noise) < 0.5] = 255
    x = drawn[:, :3] + ground * (1 - drawn[:, 3:])
    x = turn_hues(x, (torch.rand(count, generator=noise) - 0.5) * 0.1)
    gain = 0.8 + 0.4 * torch.rand(count, 1, 1, 1, generator=noise)
    x = (x * gain + 20 * torch.randn(count, 1, 1, 1, generator=noise)).clamp(0, 255) / 127.5 - 1
    blurred = torch.rand(count, generator=noise) < 0.15
    x[blurred] = F.interpolate(F.avg_pool2d(x[blurred], 2), scale_factor=2, mode="bilinear")
    noisy = torch.rand(count, generator=noise) < 0.15
    x[noisy] += 0.1 * torch.randn(x[noisy].shape, generator=noise)
    return x.clamp(-1, 1)


def held_out_drawings(art):
    """One drawing in sixteen of the training entities, chosen by name: for the measurement alone."""
    drawings = [i for name in art.trained for i in art.of_entity[name]]
    return [i for i in drawings if random.Random(f"{art.styles[i]}/{art.entities[i]}").random() < 1 / 16]


def main():
    options = loop.parse_options(__doc__)
    plan = loop.complete(json.loads((HERE / "configs/retriever.json").read_text()), options)
    torch.manual_seed(plan["seed"])
    art = read_art(64, options.data or DATA)
    config, tokenizer = Config(**plan["model"]), Tokenizer(TOKENIZER)
    model = Retriever(config)
    pairs = Pairs(art, tokenizer, config.text_len, plan["seed"])

    def loss_of(batch):
        pictures, prompts, words = model.pictures(batch["x"]), model.texts(batch["prompts"]), model.texts(batch["words"])
        named, scale = batch["named"], model.scale.clamp(max=4.6).exp()
        by_sight = contrast(scale * prompts[named] @ pictures[named].T)
        by_both = contrast(scale * prompts @ joined(pictures, words).T)
        return (by_sight + by_both) / 2

    def measure():
        # Only now: this module is what measuring imports.
        from retriever_measure import measured

        return measured(model, art, tokenizer)

    described = dict(config=asdict(config), art=art.sha256)
    loop.fit(model, pairs, loss_of, {**plan, **described}, options, measure)


def contrast(scores):
    """Symmetric cross entropy of a square of scores whose diagonal is right."""
    target = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


if __name__ == "__main__":
    main()
