"""Sample sheets and the loss on held-out entities: the same entities, scenes and noise each time."""

import random

import torch

from captions import scene_caption
from diffusion import add_noise, draw_levels, sample
from png import grid, write_png
from scenes import Recipe, Scenes, Slot

KINDS = "beach grass night underwater table red moon snow sunset road mountain space".split()
HELD_OUT, TRAINED = 9, 3  # columns
MEASURED = 96  # samples of the loss


class Sheet:
    """Entities of the first held-out list only: the second is for the last judgement."""

    def __init__(self, art, tokenizer, config, device):
        first = sorted(art.held_out["first"])
        recipe = Recipe(
            second=0, several=0, placed=0, sized=0, invented=0, wrong=0, drop_neighbours=0, drop_text=0, counts=(0, 1, 0),
            backgrounds=8,
        )  # fmt: skip
        self.scenes = Scenes(art, tokenizer, config.text_len, recipe, 7, [*first, *art.trained])
        self.device = device
        rng = random.Random(5)
        names = [*first[2:: len(first) // HELD_OUT][:HELD_OUT], *art.trained[77:: len(art.trained) // TRAINED][:TRAINED]]
        generator = torch.Generator().manual_seed(3)
        self.shown = self.compose(rng, names, KINDS, generator)
        self.noise = torch.randn(self.shown["x"].shape, generator=generator)
        names = [first[i % len(first)] for i in range(MEASURED)]
        self.measured = self.compose(rng, names, [self.scenes.draw_kind(rng) for _ in names], generator)
        self.levels = draw_levels(MEASURED, generator)
        self.measured_noise = torch.randn(self.measured["x"].shape, generator=generator)

    def compose(self, rng, names, kinds, generator):
        samples = []
        for name, kind in zip(names, kinds):
            drawing = rng.choice(self.scenes.art.of_entity[name])
            caption = scene_caption(name, kind, random.Random(1))
            samples.append(dict(
                slots=[Slot(drawing, 0.62, 0.0, 0.1)], kind=kind, turn=0.0, mirror=False, caption=caption, text=caption, corner=self.scenes.draw_corner(rng),
                neighbours=self.scenes.choose_neighbours(rng, drawing, None, name, 2),
            ))  # fmt: skip
        batch = self.scenes.render(samples, generator)
        del batch["samples"]
        return {key: part.to(self.device) for key, part in batch.items()}

    @torch.no_grad()
    def draw(self, model, path):
        """Rows: both neighbours; drawn with both; drawn with none; a picture as training has it. -> losses by name."""
        shown = self.shown
        with torch.autocast(self.device.type, torch.bfloat16):
            rows = [shown["neighbours"][:, 0], shown["neighbours"][:, 1]]
            for keep in (shown["keep"], torch.zeros_like(shown["keep"])):
                neighbours = (shown["neighbours"], shown["neighbour_ids"], keep)
                rows.append(sample(model, shown["ids"], neighbours, self.noise.to(self.device)))
            rows.append(shown["x"])
            losses = {name: self.measure(model, kept) for name, kept in (("held_out", True), ("held_out_without", False))}
        write_png(path, grid([row.float().cpu().numpy() for row in rows], 2))
        return losses

    def measure(self, model, kept):
        batch = self.measured
        t = self.levels.to(self.device)
        noisy, target = add_noise(batch["x"], t, self.measured_noise.to(self.device))
        seen = model.encode_neighbors(batch["neighbours"], batch["neighbour_ids"], batch["keep"] & kept)
        return round((model(noisy, t, batch["ids"], seen).float() - target).square().mean().item(), 5)
