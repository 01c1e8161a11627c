"""Trains a stage: `python3 train.py configs/base-64.json --out DIR`. Run again after any interruption, it goes on where it was."""

import argparse
import copy
import hashlib
import json
import math
import os
import re
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from art import read_art
from diffusion import MOST_WEIGHT, add_noise, draw_levels, loss, noised_low
from muon import Muon
from reimagen import Config, ReImagen, around_low
from scenes import Recipe, Scenes
from sheet import Sheet
from tensors import read_safetensors
from tokenizer import Tokenizer

EMA_EVERY = 4  # steps; the average moves so much further each time
LOG_EVERY = 50


class Batches(Dataset):
    """Batch number i with its noise; it follows from the seed and i alone, so that a run can go on anywhere."""

    def __init__(self, scenes, plan):
        self.scenes, self.size, self.low = scenes, plan["batch"], plan.get("low")
        self.most_weight = plan.get("most_weight", MOST_WEIGHT)

    def __getitem__(self, step):
        torch.set_num_threads(1)
        batch = self.scenes.batch(step, self.size)
        generator = torch.Generator().manual_seed(self.scenes.seed * 1_000_003 + step)
        batch["t"] = draw_levels(self.size, generator, self.most_weight)
        batch["noise"] = torch.randn(batch["x"].shape, generator=generator)
        del batch["samples"]
        if self.low:
            batch["level"] = torch.rand(self.size, generator=generator) * self.low["most_noise"]
            batch["low"] = noised_low(batch["x"], self.low["factor"], batch["level"], generator)
        return batch


def main():
    options = parse_options()
    plan = json.loads(options.config.read_text())
    plan.update({name: value for name in ("batch", "steps") if (value := getattr(options, name)) is not None})
    plan["recipe"].update(options.recipe)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan["seed"])
    torch.set_num_threads(options.threads or os.cpu_count())
    device = torch.device(options.device)

    art = read_art(plan["art"], left_out=plan.get("left_out", ()))
    tokenizer = Tokenizer(options.config.parent / plan["tokenizer"])
    config = Config(**plan["model"])
    kind, low, crop = plan["prediction"], plan.get("low"), plan.get("crop")
    recipe = Recipe(**plan["recipe"])
    scenes = Scenes(art, tokenizer, config.text_len, recipe, plan["seed"], size=config.size, crop=crop)
    sheet = Sheet(art, tokenizer, plan, config, device)

    model, checkpoint = ReImagen(config), options.out / "checkpoint.pt"
    if options.start and not checkpoint.exists():
        start = options.start / "model.safetensors"
        taken = take_over(model, read_safetensors(start))
        if options.align:
            model.align()
        plan["start"] = dict(sha256=hashlib.sha256(start.read_bytes()).hexdigest(), tensors=taken, aligned=options.align)
        print(f"begins with {taken} of {len(model.state_dict())} tensors of {start}", flush=True)
    model = model.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizers = optimizers_of(model, plan["rate"])
    state = dict(step=0, seconds=0.0, cpu_seconds=0.0)
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device)
        if "start" in saved["plan"]:
            plan["start"] = saved["plan"]["start"]
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        for optimizer, kept in zip(optimizers, saved["optimizers"]):
            optimizer.load_state_dict(kept)
        state.update(saved["state"])

    def save():
        whole = dict(
            config=asdict(config), plan=plan, art=art.sha256, state=state, model=model.state_dict(),
            average=average.state_dict(), optimizers=[optimizer.state_dict() for optimizer in optimizers],
        )  # fmt: skip
        # A kill while writing leaves the last checkpoint whole.
        torch.save(whole, checkpoint.with_suffix(".new"))
        os.replace(checkpoint.with_suffix(".new"), checkpoint)

    std = config.residual_std

    def loss_of(batch):
        noisy = add_noise(batch["x"], batch["t"], batch["noise"])
        entry = torch.cat([noisy, batch["low"]], 1) if low else noisy
        with torch.autocast(device.type, torch.bfloat16):
            seen = None
            if "neighbours" in batch:
                seen = model.encode_neighbors(batch["neighbours"], batch["neighbour_ids"], batch["keep"])
            entry = entry.contiguous(memory_format=torch.channels_last)
            prediction = model(entry, batch["t"], batch["ids"], seen, batch.get("level"))
        weight = 1 + (plan["thing_weight"] - 1) * batch["things"]
        scale = around_low(batch["t"], batch["level"], std)[2] if std else None
        return loss(prediction.float(), batch["x"], batch["t"], batch["noise"], kind, weight, scale)

    step_loss = torch.compile(loss_of) if options.compile else loss_of
    loader = DataLoader(
        Batches(scenes, plan), batch_size=None, sampler=range(state["step"], plan["steps"]),
        num_workers=options.workers, prefetch_factor=2 if options.workers else None, pin_memory=device.type == "cuda",
    )  # fmt: skip
    log = (options.out / "log.jsonl").open("a", buffering=1)
    started, logged, saved_at, losses, norms = time.monotonic(), time.monotonic(), time.monotonic(), [], []
    seconds_before, cpu_before = state["seconds"], state["cpu_seconds"] - time.process_time()
    for batch in loader:
        batch = {name: part.to(device, non_blocking=True) for name, part in batch.items()}
        if not options.compile:
            # Compiled code wants one shape; else columns without a token are time lost.
            batch.update({name: trimmed(batch[name]) for name in ("ids", "neighbour_ids") if name in batch})
        rate = plan["rate"] * rate_share(state["step"], plan)
        error = step_loss(batch)
        model.zero_grad()
        error.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        losses.append(error.detach())
        state["step"] += 1
        state["seconds"] = seconds_before + time.monotonic() - started
        state["cpu_seconds"] = cpu_before + time.process_time()
        step = state["step"]
        if step % EMA_EVERY == 0:
            # Early on the average follows quickly.
            kept = min(plan["ema"], (1 + step) / (10 + step)) ** EMA_EVERY
            torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in model.parameters()], 1 - kept)
        if step % LOG_EVERY == 0:
            now = time.monotonic()
            entry = dict(
                step=step, samples=step * plan["batch"], loss=mean(losses), norm=mean(norms), rate=rate,
                per_second=len(losses) * plan["batch"] / (now - logged), hours=state["seconds"] / 3600,
                cpu_hours=state["cpu_seconds"] / 3600,
            )  # fmt: skip
            log.write(json.dumps({name: float(f"{value:.5g}") for name, value in entry.items()}) + "\n")
            logged, losses, norms = now, [], []
        if step % options.sheet_every == 0 or step == plan["steps"]:
            found = sheet.draw(average, options.out / f"sheet-{step:06}.png")
            log.write(json.dumps(dict(step=step, **found)) + "\n")
            logged = time.monotonic()
        if time.monotonic() - saved_at > options.save_every or step == plan["steps"]:
            save()
            saved_at = time.monotonic()
    print(f"{state['step']} steps, {state['seconds'] / 3600:.2f} hours: {checkpoint}")


def take_over(model, weights):
    """Gives the model the tensors that fit, those of a model with fewer levels to its coarsest ones. -> how many."""
    own = model.state_dict()
    levels = 1 + max(int(found[1]) for name in weights if (found := re.match(r"down\.(\d+)\.", name)))
    more, taken = len(model.config.channels) - levels, 0
    for name, tensor in weights.items():
        name = re.sub(r"^((?:down|up)(?:_attn)?|shrink|grow|neighbor|neighbor_pos)\.(\d+)", lambda found: f"{found[1]}.{int(found[2]) + more}", name)
        if name.startswith("neighbor_pos.") and name in own:
            before, after = (round(len(table) ** 0.5) for table in (tensor, own[name]))
            square = tensor.float().T.unflatten(1, (before, before))[None]
            tensor = F.interpolate(square, (after, after), mode="bilinear")[0].flatten(1).T
        if name in own and own[name].shape == tensor.shape:
            own[name].copy_(tensor)
            taken += 1
    if not any(name.endswith("qkv_pos") for name in weights):
        model.align()
    return taken


def optimizers_of(model, rate):
    """Muon for what lies between layers; AdamW for vectors, tables, and what makes and reads pictures."""
    outer = [*model.text.embed.parameters(), *model.text.relative.parameters(), *model.stem.parameters(), *model.out.parameters()]
    positions = [p for name, p in model.named_parameters() if name.endswith("kv_pos") or name.startswith("neighbor_pos")]
    tables = {id(p) for p in [*outer, *positions]}
    inner = [p for p in model.parameters() if p.ndim > 1 and id(p) not in tables]
    taken = {id(p) for p in inner}
    others = [p for p in model.parameters() if id(p) not in taken]
    return Muon(inner, rate), torch.optim.AdamW(others, rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)


def rate_share(step, plan):
    """Warm-up, constant, and for the last share `decay` of the steps half a cosine down to a hundredth."""
    begin = plan["steps"] * (1 - plan["decay"])
    falling = min(max((step - begin) / (plan["steps"] - begin), 0), 1) if plan["decay"] else 0
    return min(1, (step + 1) / plan["warmup"]) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * falling)))


def trimmed(ids):
    """Ids without the columns that are empty in every row."""
    used = (ids != 0).flatten(0, -2).any(0).sum()
    return ids[..., : int(used)]


def mean(values):
    return torch.stack(values).mean().item()


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint.pt, log.jsonl and sheets")
    parser.add_argument("--start", type=Path, help="folder of weights to begin with, as far as their tensors fit; the checkpoint keeps their SHA-256")
    parser.add_argument("--align", action="store_true", help="with --start: attention's positions are set anew (`Attention.align`)")
    parser.add_argument("--steps", type=int, help="in all, earlier runs included; the rate falls over the last of them")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--recipe", type=json.loads, default={}, help="parts of the config's recipe to change, as JSON: '{\"tails\": [0, 0]}'")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="for GPUs; on CPUs it gains nothing")
    parser.add_argument("--threads", type=int, help="of the CPU; all unless given")
    parser.add_argument("--workers", type=int, default=1, help="processes that compose scenes")
    parser.add_argument("--save-every", type=float, default=300, help="seconds")
    parser.add_argument("--sheet-every", type=int, default=1000, help="steps")
    return parser.parse_args()


if __name__ == "__main__":
    main()
