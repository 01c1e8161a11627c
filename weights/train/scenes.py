"""Training batches: captioned scenes composed on the fly, and their neighbours. A batch follows from seed and step alone."""

import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from art import on_white
from backgrounds import COLORS, FLOORS, SCENES, draw_background
from captions import BIG, POSITIONS, SMALL, invented_name, kinds, neighbour_caption, scene_caption
from chimeras import draw_join, joined, redrawn
from retrieval import find_neighbours

NEIGHBOUR_TEXT_LENGTH = 14
SLOTS = 3  # at most so many drawings in a scene
SAME = 1e-3  # what is nearer than this (`retrieval.distance`) is as good as the same picture
CROP_GRID = 8  # pieces begin where low-resolution pixels do


@dataclass
class Recipe:
    """Shares and odds of what a batch holds."""

    second: float = 0.2  # two different things
    several: float = 0.06  # two or three of one thing
    placed: float = 0.15  # the caption says where
    sized: float = 0.12  # the caption says how big
    scenery: float = 0.72  # a scene rather than a plain color
    invented: float = 0.2  # the thing has a name that means nothing, so that only the neighbours tell
    recolored: float = 0.6  # of those, so many with all hues turned
    wrong: float = 0.05  # a neighbour shows something else
    chimeras: float = 0.0  # the thing is a chimera with an invented name, and so are its neighbours
    tails: tuple = (0.06, 0.04)  # of the pairs that show one thing, the nearest and the farthest that are not used (`retrieval.find_neighbours`)
    alike: float = 1.0  # the weight of a neighbour falls with this power of its distance from the drawing (`retrieval.distance`)
    vary: float = 1.0  # how much size and place of a thing vary where the caption says nothing of them; 0: always the same
    jittered: float = 0.5  # neighbours moved and scaled a little
    drop_neighbours: float = 0.1
    drop_text: float = 0.1
    counts: tuple = (0.5, 0.35, 0.15)  # batches with 1, 2, 3 neighbours, the rest with none; empty for a stage without neighbours
    backgrounds: int = 64  # of each kind


@dataclass
class Slot:
    """A drawing in a scene: index, half its side and its middle as shares of half the picture, mirrored or not."""

    drawing: int
    half: float
    x: float
    y: float
    mirrored: bool = False


class Scenes:
    """Composes batches: pictures of `size` x `size` pixels, or square pieces of them, `crop` pixels wide."""

    def __init__(self, art, tokenizer, text_length, recipe=None, seed=0, names=None, size=None, crop=None):
        """`names`: the entities to draw and to find neighbours among, those that training may see unless given."""
        self.size = size or art.size
        self.crop = crop or self.size
        self.art, self.tokenizer, self.text_length, self.seed = art, tokenizer, text_length, seed
        self.recipe = recipe or Recipe()
        self.names = art.trained if names is None else names
        self.neighbours = find_neighbours(art, self.names, self.recipe.tails) if self.recipe.counts else None
        self.kinds = kinds()
        rng = np.random.default_rng(3)
        self.backgrounds = torch.stack([
            torch.from_numpy(np.stack([draw_background(kind, self.size, rng) for _ in range(self.recipe.backgrounds)]))
            for kind in self.kinds
        ])

    def batch(self, step, count):
        """-> tensors: x [B, 3, S, S] in [-1, 1], things [B, 1, S, S] (where a thing is), ids [B, T], neighbours [B, K, 3, S, S], neighbour_ids [B, K, 14],
        keep [B, K], and `samples`: what each shows and which drawings are its neighbours."""
        rng = random.Random(f"{self.seed}/{step}")
        noise = torch.Generator().manual_seed(rng.getrandbits(62))
        k = rng.choices((0, 1, 2, 3), (max(0, 1 - sum(self.recipe.counts)), *self.recipe.counts))[0] if self.recipe.counts else 0
        samples = [self.sample(rng, k) for _ in range(count)]
        return self.render(samples, noise)

    def sample(self, rng, k):
        """What one sample shows, as plain data."""
        recipe = self.recipe
        name, kind = rng.choice(self.names), self.draw_kind(rng)
        called, turn, join = name, 0.0, None
        drawing = rng.choice(self.art.of_entity[name])
        if rng.random() < recipe.chimeras:
            join = draw_join(rng, self.anything_but(rng, drawing))
        if join or rng.random() < recipe.invented:
            called = invented_name(rng)
            turn = rng.uniform(0.12, 0.88) if rng.random() < recipe.recolored else 0.0
        slots, words, other = self.place(rng, drawing, kind)
        caption = scene_caption(called, kind, rng, **words)
        if join:
            near = [(drawing, neighbour_caption(called, rng), True) for _ in range(k)]
        else:
            near = self.choose_neighbours(rng, drawing, other, called, k)
        if rng.random() < recipe.drop_neighbours:
            near = [(index, text, False) for index, text, _ in near]
        return dict(
            slots=slots, kind=kind, turn=turn, join=join, mirror=rng.random() < 0.3, neighbours=near, caption=caption,
            text="" if rng.random() < recipe.drop_text else caption, corner=self.draw_corner(rng),
        )  # fmt: skip

    def draw_corner(self, rng):
        """Left and top of the piece to draw, multiples of CROP_GRID."""
        room = (self.size - self.crop) // CROP_GRID
        return (rng.randint(0, room) * CROP_GRID, rng.randint(0, room) * CROP_GRID) if room else (0, 0)

    def draw_kind(self, rng):
        return rng.choice(list(SCENES) if rng.random() < self.recipe.scenery else list(COLORS))

    def place(self, rng, drawing, kind):
        """-> slots, words for the caption, the second thing's drawing or None."""
        recipe, uniform = self.recipe, rng.uniform
        low = 0.12 if kind in FLOORS else 0.0
        vary = recipe.vary
        lot = rng.random()
        if lot < recipe.second:
            other = self.anything_but(rng, drawing)
            other_name = self.art.entities[other]
            y = uniform(-0.1, 0.2) + low
            slots = [Slot(drawing, uniform(0.38, 0.45), -0.47, y), Slot(other, uniform(0.38, 0.45), 0.47, y)]
            return slots, dict(second=other_name), other
        lot -= recipe.second
        if lot < recipe.several:
            count = rng.choice((2, 3))
            y = uniform(-0.1, 0.2) + low
            spots = [(-0.45, y), (0.45, y)] if count == 2 else [(-0.62, y), (0, y), (0.62, y)]
            half = uniform(0.36, 0.43) if count == 2 else uniform(0.26, 0.3)
            return [Slot(drawing, half, x, y) for x, y in spots], dict(count=count), None
        lot -= recipe.several
        mirrored = rng.random() < 0.1 * vary
        if lot < recipe.placed:
            words = rng.choice(list(POSITIONS))
            x, y = POSITIONS[words]
            slot = Slot(drawing, uniform(0.4, 0.5), x + uniform(-0.05, 0.05), y + uniform(-0.05, 0.05), mirrored)
            return [slot], dict(position=words), None
        lot -= recipe.placed
        x = uniform(-0.1, 0.1)
        if lot < recipe.sized:
            small = rng.random() < 0.5
            half = uniform(0.26, 0.34) if small else uniform(0.8, 0.92)
            y = uniform(-0.05, 0.2) + low if small else uniform(-0.06, 0.06)
            return [Slot(drawing, half, x, y, mirrored)], dict(size=rng.choice(SMALL if small else BIG)), None
        half, x = 0.62 + vary * uniform(-0.08, 0.08), vary * x
        return [Slot(drawing, half, x, 0.07 + vary * (low - 0.06 + uniform(-0.09, 0.09)), mirrored)], {}, None

    def choose_neighbours(self, rng, drawing, other, called, k):
        """k times (drawing, caption, seen), none of them drawn; where the second thing is `other`, sometimes one shows that."""
        if k == 0:
            return []
        recipe, art = self.recipe, self.art
        chosen = [(index, called) for index in self.rank(rng, drawing)[:k]]
        if other is not None and k > 1 and len(chosen) > 1 and rng.random() < 0.5:
            for index in self.rank(rng, other)[:1]:
                chosen[-1] = (index, art.entities[index])
        if chosen and rng.random() < recipe.wrong:
            wrong = [index for index in self.neighbours.wrong[drawing] if index != other]
            index = rng.choice(wrong) if wrong and rng.random() < 0.5 else self.anything_but(rng, drawing, other)
            chosen[rng.randrange(len(chosen))] = (index, art.entities[index])
        rng.shuffle(chosen)
        seen = [(index, neighbour_caption(name, rng), True) for index, name in chosen]
        # A place without a neighbour is masked; what lies there does not matter.
        return seen + [(drawing, "", False)] * (k - len(seen))

    def rank(self, rng, drawing):
        """Matches in a random order, those that look like the drawing more likely first (Efraimidis and Spirakis, 2006)."""
        matches, distances = self.neighbours.matches[drawing], self.neighbours.distances[drawing]
        keys = [rng.expovariate(1.0) * (max(far, SAME) / SAME) ** self.recipe.alike for far in distances]
        return [index for _, index in sorted(zip(keys, matches))]

    def anything_but(self, rng, *drawings):
        """A drawing of another entity than these."""
        shown = {self.art.entities[drawing] for drawing in drawings if drawing is not None}
        while (name := rng.choice(self.names)) in shown:
            pass
        return rng.choice(self.art.of_entity[name])

    def render(self, samples, noise):
        """Samples as tensors; `noise`: a torch Generator."""
        turns = torch.tensor([sample["turn"] for sample in samples])
        mirror = torch.tensor([sample["mirror"] for sample in samples])
        x = self.draw_backgrounds(samples, noise)
        things = torch.zeros_like(x[:, :1])
        for n in range(SLOTS):
            rows = [i for i, sample in enumerate(samples) if len(sample["slots"]) > n]
            if not rows:
                break
            slots = [samples[i]["slots"][n] for i in rows]
            # Only the first thing was renamed: the second keeps its hues, and so do neighbours that show something else.
            own = turns[rows] * torch.tensor([slot.drawing == samples[i]["slots"][0].drawing for i, slot in zip(rows, slots)])
            x[rows], alpha = self.draw(x[rows], slots, own, mirror[rows], [samples[i] for i in rows])
            things[rows] = torch.maximum(things[rows], alpha)
        batch = dict(
            x=x / 127.5 - 1,
            things=things,
            ids=torch.tensor([self.tokenizer.ids(sample["text"], self.text_length) for sample in samples]),
            samples=samples,
        )
        return {**batch, **self.render_neighbours(samples, turns, mirror, noise)} if samples[0]["neighbours"] else batch

    def render_neighbours(self, samples, turns, mirror, noise):
        count, k = len(samples), len(samples[0]["neighbours"])
        near = [(sample["slots"][0].drawing, index) for sample in samples for index, _, _ in sample["neighbours"]]
        own = torch.tensor([self.art.entities[drawing] == self.art.entities[index] for drawing, index in near])
        pictures = on_white(self.take([index for _, index in near], [sample["join"] for sample in samples for _ in range(k)]))
        pictures = turn_hues(pictures, turns.repeat_interleave(k) * own)
        chimeras = [i for i in range(count * k) if samples[i // k]["join"]]
        if chimeras:
            pictures[chimeras] = redrawn(pictures[chimeras], noise)
        flipped = mirror.repeat_interleave(k)[:, None, None, None]
        pictures = jitter(torch.where(flipped, pictures.flip(3), pictures), self.recipe.jittered, noise)
        return dict(
            neighbours=(pictures / 127.5 - 1).unflatten(0, (count, k)),
            neighbour_ids=torch.tensor([
                [self.tokenizer.ids(text, NEIGHBOUR_TEXT_LENGTH) for _, text, _ in sample["neighbours"]] for sample in samples
            ]),
            keep=torch.tensor([[seen for _, _, seen in sample["neighbours"]] for sample in samples]),
        )

    def take(self, indices, joins):
        """Drawings as float [n, 4, S, S] in [0, 255], those with a join joined."""
        art = self.art.take(indices)
        rows = [i for i, join in enumerate(joins) if join]
        if rows:
            found = [joins[i] for i in rows]
            art[rows] = joined(art[rows], self.art.take([join.drawing for join in found]), found)
        return art

    def draw_backgrounds(self, samples, noise):
        kinds_ = torch.tensor([self.kinds.index(sample["kind"]) for sample in samples])
        which = torch.randint(0, self.backgrounds.shape[1], (len(samples),), generator=noise)
        pictures = torch.stack([
            self.backgrounds[kind, i, :, top : top + self.crop, left : left + self.crop]
            for kind, i, (left, top) in zip(kinds_, which, (sample["corner"] for sample in samples))
        ]).float()
        flipped = torch.rand(len(samples), generator=noise) < 0.5
        return torch.where(flipped[:, None, None, None], pictures.flip(3), pictures)

    def draw(self, x, slots, turns, mirror, samples):
        """x [n, 3, S, S] in [0, 255] with one drawing over each; `samples`: what each shows. -> those, and the drawings' alpha."""
        indices = torch.tensor([slot.drawing for slot in slots])
        boxes = self.art.boxes[indices]
        joins = [sample["join"] if slot.drawing == sample["slots"][0].drawing else None for slot, sample in zip(slots, samples)]
        rows = [i for i, join in enumerate(joins) if join]
        if rows:
            others = self.art.boxes[[joins[i].drawing for i in rows]]
            boxes[rows] = torch.cat([torch.minimum(boxes[rows], others)[:, :2], torch.maximum(boxes[rows], others)[:, 2:]], 1)
        left, top, right, bottom = boxes.T
        half = torch.maximum(right - left, bottom - top) / 2
        scale = half / torch.tensor([slot.half for slot in slots])
        flip = torch.where(mirror ^ torch.tensor([slot.mirrored for slot in slots]), -1.0, 1.0)
        at_x, at_y = (torch.tensor([getattr(slot, axis) for slot in slots]) for axis in "xy")
        zero = torch.zeros_like(scale)
        theta = torch.stack([
            torch.stack([flip * scale, zero, (left + right) / 2 - flip * scale * at_x], 1),
            torch.stack([zero, scale, (top + bottom) / 2 - scale * at_y], 1),
        ], 1)
        # Where the piece lies in the whole: its middle and its share.
        share = self.crop / self.size
        corners = torch.tensor([sample["corner"] for sample in samples])
        middle = corners * 2 / self.size + share - 1
        theta[:, :, 2] += (theta[:, :, :2] @ middle[..., None])[..., 0]
        theta[:, :, :2] *= share
        where = F.affine_grid(theta, (len(slots), 4, *x.shape[2:]), align_corners=False)
        art = self.take(indices.tolist(), joins)
        fine, coarse = (F.grid_sample(premultiplied(level), where, align_corners=False) for level in (art, halved(art)))
        # Drawings much smaller than their pixels are sampled from a smaller copy: fewer jagged edges.
        small = (scale * self.art.size / self.size > 1.6)[:, None, None, None]
        drawn = torch.where(small, coarse, fine)
        alpha = drawn[:, 3:]
        floors = torch.tensor([sample["kind"] in FLOORS for sample in samples])
        if floors.any():
            x = x * (1 - self.shadows(at_x, at_y, (bottom - top) / 2 / scale, (right - left) / 2 / scale, floors, corners))
        # Hues turn on the whole color, so undo the weight of alpha first.
        colors = turn_hues(drawn[:, :3] / alpha.clamp(min=1e-3), turns)
        return x * (1 - alpha) + colors.clamp(0, 255) * alpha, alpha

    def shadows(self, x, y, half_height, half_width, floors, corners):
        """A soft ellipse under each thing that stands on a floor, [n, 1, S, S] in [0, 0.35]."""
        across, down = ((corners[:, axis, None] + torch.arange(self.crop) + 0.5) / self.size * 2 - 1 for axis in (0, 1))
        dx = (across[:, None, :] - x[:, None, None]) / half_width.clamp(min=0.05)[:, None, None]
        dy = (down[:, :, None] - (y + half_height)[:, None, None]) / (0.18 * half_width.clamp(min=0.05))[:, None, None]
        dark = 0.35 * (1.2 - (dx * dx + dy * dy)).clamp(0, 1) * floors[:, None, None]
        return dark[:, None]


def premultiplied(rgba):
    """[n, 4, S, S] in [0, 255] -> colors in [0, 255] weighted by alpha, and alpha in [0, 1]."""
    alpha = rgba[:, 3:] / 255
    return torch.cat([rgba[:, :3] * alpha, alpha], 1)


def halved(rgba):
    """[n, 4, S, S] -> the same at half the size, averaged with the weight of alpha."""
    small = F.avg_pool2d(premultiplied(rgba), 2)
    colors = small[:, :3] / small[:, 3:].clamp(min=1e-3)
    return torch.cat([colors, small[:, 3:] * 255], 1).round().clamp(0, 255)


# Luma and the two axes of chroma (NTSC): turning the chroma turns the hue and leaves the brightness.
YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def turn_hues(pictures, turns):
    """pictures [n, 3, S, S] in [0, 255]; turns [n]: shares of a full turn, 0 for none."""
    rows = turns.nonzero()[:, 0]
    if not len(rows):
        return pictures
    angle = turns[rows] * 2 * torch.pi
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    turning = torch.stack([
        torch.stack([one, zero, zero], 1),
        torch.stack([zero, angle.cos(), -angle.sin()], 1),
        torch.stack([zero, angle.sin(), angle.cos()], 1),
    ], 1)
    matrices = YIQ.inverse() @ turning @ YIQ
    pictures = pictures.clone()
    pictures[rows] = torch.einsum("nij,njhw->nihw", matrices, pictures[rows]).clamp(0, 255)
    return pictures


def jitter(pictures, share, noise):
    """A share of the pictures on white, in [0, 255], a little smaller or larger and moved; the others as they are."""
    rows = (torch.rand(len(pictures), generator=noise) < share).nonzero()[:, 0]
    if not len(rows):
        return pictures
    scale = 1 / (0.8 + 0.25 * torch.rand(len(rows), generator=noise))
    move = 0.16 * torch.rand(2, len(rows), generator=noise) - 0.08
    zero = torch.zeros_like(scale)
    theta = torch.stack([torch.stack([scale, zero, move[0]], 1), torch.stack([zero, scale, move[1]], 1)], 1)
    where = F.affine_grid(theta, (len(rows), *pictures.shape[1:]), align_corners=False)
    pictures = pictures.clone()
    pictures[rows] = 255 - F.grid_sample(255 - pictures[rows], where, align_corners=False)
    return pictures
