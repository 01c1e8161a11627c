"""The other way to show a model a new thing: fine-tuning its text-only path on the one reference (DreamBooth, Ruiz et al., 2022)."""

import copy
import random
import time

import torch

from captions import neighbour_caption, scene_caption
from backgrounds import COLORS
from diffusion import add_noise, draw_levels, loss
from scenes import Slot

STEPS, BATCH, RATE = 80, 8, 1e-4


def finetuned(model, kind, scenes, tokenizer, reference, entity, steps=STEPS, seed=0):
    """A copy of the model, trained on one drawing, moved and scaled on plain grounds and named as prompts name it. -> model, seconds."""
    device = next(model.parameters()).device
    started = time.monotonic()
    tuned = copy.deepcopy(model).train().requires_grad_(True)
    optimizer = torch.optim.AdamW(tuned.parameters(), RATE, betas=(0.9, 0.99), weight_decay=0.01)
    rng, noise = random.Random(f"finetune/{entity}/{seed}"), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        batch = scenes.render([one(rng, reference, entity) for _ in range(BATCH)], noise)
        x, t = batch["x"].to(device), draw_levels(BATCH, noise).to(device)
        ids = torch.tensor([tokenizer.ids(text["text"], tuned.config.text_len) for text in batch["samples"]], device=device)
        eps = torch.randn(x.shape, generator=noise).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            prediction = tuned(add_noise(x, t, eps).contiguous(memory_format=torch.channels_last), t, ids, None)
        error = loss(prediction.float(), x, t, eps, kind)
        optimizer.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(tuned.parameters(), 1.0)
        optimizer.step()
    return tuned.eval().requires_grad_(False), time.monotonic() - started


def one(rng, reference, entity):
    kind = rng.choice(list(COLORS))
    caption = scene_caption(entity, kind, rng) if rng.random() < 0.8 else neighbour_caption(entity, rng)
    # A tenth without text keeps what guidance leans on.
    return dict(
        slots=[Slot(reference, rng.uniform(0.5, 0.75), rng.uniform(-0.12, 0.12), rng.uniform(-0.12, 0.2))], kind=kind, turn=0.0, join=None,
        mirror=rng.random() < 0.3, neighbours=[], caption=caption, text="" if rng.random() < 0.1 else caption, corner=(0, 0),
    )  # fmt: skip
