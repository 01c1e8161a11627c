"""Sample sheets and the loss on held-out entities: the same entities, scenes and noise each time."""

import random

import torch
import torch.nn.functional as F

from captions import scene_caption
from diffusion import add_noise, draw_levels, loss, noised_low, sample
from png import grid, write_png
from reimagen import around_low
from scenes import Recipe, Scenes, Slot

KINDS = "beach grass night underwater table red moon snow sunset road mountain space".split()
HELD_OUT, TRAINED = 9, 3  # columns
MEASURED_PIXELS = 96 * 64 * 64  # of the loss
LOW_NOISE = 0.1  # level of the noise on the low-resolution picture that a super-resolution stage starts from


class Sheet:
    """Entities of the first held-out list only: the second is for the last judgement."""

    def __init__(self, art, tokenizer, plan, config, device):
        first = sorted(name for name in art.held_out["first"] if name in art.of_entity)
        recipe = Recipe(
            second=0, several=0, placed=0, sized=0, invented=0, wrong=0, drop_neighbours=0, drop_text=0,
            counts=(0, 1, 0) if config.neighbors else (), backgrounds=min(8, plan["recipe"].get("backgrounds", 8)),
        )  # fmt: skip
        names = [*first, *art.trained]
        self.scenes = Scenes(
            art, tokenizer, config.text_len, recipe, 7, names, size=config.size, crop=plan.get("crop")
        )
        self.std = config.residual_std
        self.device, self.kind, self.low, self.shows = device, plan["prediction"], plan.get("low"), config.neighbors
        rng = random.Random(5)
        names = [*first[2:: len(first) // HELD_OUT][:HELD_OUT], *art.trained[77:: len(art.trained) // TRAINED][:TRAINED]]
        generator = torch.Generator().manual_seed(3)
        self.shown = self.compose(rng, names, KINDS, generator)
        measured = max(8, MEASURED_PIXELS // self.scenes.crop**2)
        names = [first[i % len(first)] for i in range(measured)]
        self.measured = self.compose(rng, names, [self.scenes.draw_kind(rng) for _ in names], generator)
        self.levels = draw_levels(measured, generator).to(device)

    def compose(self, rng, names, kinds, generator):
        samples = []
        for name, kind in zip(names, kinds):
            drawing = rng.choice(self.scenes.art.of_entity[name])
            caption = scene_caption(name, kind, random.Random(1))
            count = 2 if self.shows else 0
            samples.append(dict(
                slots=[Slot(drawing, 0.62, 0.0, 0.07)], kind=kind, turn=0.0, join=None, mirror=False, caption=caption, text=caption,
                neighbours=self.scenes.choose_neighbours(rng, drawing, None, name, count),
                corner=self.scenes.draw_corner(rng),
            ))  # fmt: skip
        batch = self.scenes.render(samples, generator)
        del batch["samples"]
        batch["noise"] = torch.randn(batch["x"].shape, generator=generator)
        if self.low:
            batch["level"] = torch.full((len(names),), LOW_NOISE)
            batch["low"] = noised_low(batch["x"], self.low["factor"], batch["level"], generator)
        return {key: part.to(self.device) for key, part in batch.items()}

    @torch.no_grad()
    def draw(self, model, path):
        """Rows: both neighbours; drawn with both; drawn with none; a picture as training has it. A super-resolution stage also
        shows what it starts from. -> losses by name."""
        shown = self.shown
        with torch.autocast(self.device.type, torch.bfloat16):
            kept = (True, False) if self.shows else (True,)
            drawn = [self.sample(model, keep) for keep in kept]
            losses = {"held_out" if keep else "held_out_without": self.measure(model, keep) for keep in kept}
        neighbours = shown["neighbours"].unbind(1) if self.shows else ()
        started = [shown["low"]] if self.low else []
        rows = [F.interpolate(row, self.scenes.crop, mode="area") for row in neighbours] + started + drawn + [shown["x"]]
        write_png(path, grid([row.float().cpu().numpy() for row in rows], max(1, 128 // self.scenes.crop)))
        return losses

    def sample(self, model, keep):
        shown, low, how = self.shown, None, {}
        if self.low:
            low, how = (shown["low"], shown["level"]), dict(gamma=1.0, steps=self.low["steps"])
        neighbours = (shown["neighbours"], shown["neighbour_ids"], shown["keep"] & keep) if self.shows else None
        return sample(model, shown["ids"], neighbours, shown["noise"], self.kind, low, **how)

    def measure(self, model, keep):
        batch, seen = self.measured, None
        if self.shows:
            seen = model.encode_neighbors(batch["neighbours"], batch["neighbour_ids"], batch["keep"] & keep)
        entry = add_noise(batch["x"], self.levels, batch["noise"])
        if self.low:
            entry = torch.cat([entry, batch["low"]], 1)
        prediction = model(entry, self.levels, batch["ids"], seen, batch.get("level")).float()
        scale = around_low(self.levels, batch["level"], self.std)[2] if self.std else None
        return round(loss(prediction, batch["x"], self.levels, batch["noise"], self.kind, scale=scale).item(), 5)
