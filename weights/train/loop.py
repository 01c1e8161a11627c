"""The training loop of the small models (retriever, recogniser): resumable, seeded, logged. A batch follows from seed and step alone."""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from train import mean, rate_share

LOG_EVERY = 25


def parse_options(description):
    """Options that these trainings share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint.pt and log.jsonl")
    parser.add_argument("--steps", type=int, help="in all, earlier runs included; the rate falls over the last of them")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="of the CPU; all unless given")
    parser.add_argument("--workers", type=int, default=1, help="processes that compose batches")
    parser.add_argument("--save-every", type=float, default=60, help="seconds")
    parser.add_argument("--data", type=Path, help="folder of art-64.bin and art-64.json, unless they are where `npm run data` puts them")
    return parser.parse_args()


def complete(plan, options):
    """The plan with what the command line changes."""
    given = {name: value for name in ("steps", "batch") if (value := getattr(options, name)) is not None}
    return {**plan, **given}


class Steps(Dataset):
    """Batch number i of a composer with `batch(step, count)`."""

    def __init__(self, composer, count):
        self.composer, self.count = composer, count

    def __getitem__(self, step):
        torch.set_num_threads(1)
        return self.composer.batch(step, self.count)


def fit(model, composer, loss_of, plan, options, measure):
    """Trains until `plan["steps"]`; `loss_of(batch)` -> a scalar; `measure()` -> numbers for the last line of the log.

    A run that was killed goes on from its last checkpoint, and ends as one that was not.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads or os.cpu_count())
    device = torch.device(options.device)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), plan["rate"], betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    state, checkpoint = dict(step=0, seconds=0.0), options.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state.update(saved["state"])

    def save(**found):
        whole = dict(plan=plan, state=state, model=model.state_dict(), optimizer=optimizer.state_dict(), **found)
        # A kill while writing leaves the last checkpoint whole.
        torch.save(whole, checkpoint.with_suffix(".new"))
        os.replace(checkpoint.with_suffix(".new"), checkpoint)

    loader = DataLoader(
        Steps(composer, plan["batch"]), batch_size=None, sampler=range(state["step"], plan["steps"]),
        num_workers=options.workers, prefetch_factor=2 if options.workers else None,
    )  # fmt: skip
    log = (options.out / "log.jsonl").open("a", buffering=1)
    before, started, saved_at, losses = state["seconds"], time.monotonic(), time.monotonic(), []
    model.train()
    for batch in loader:
        batch = {name: part.to(device, non_blocking=True) for name, part in batch.items()}
        rate = plan["rate"] * rate_share(state["step"], plan)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        state["step"] += 1
        state["seconds"] = before + time.monotonic() - started
        if state["step"] % LOG_EVERY == 0:
            line = dict(step=state["step"], loss=mean(losses), rate=rate, hours=state["seconds"] / 3600)
            log.write(json.dumps({name: float(f"{value:.5g}") for name, value in line.items()}) + "\n")
            losses = []
        if time.monotonic() - saved_at > options.save_every:
            save()
            saved_at = time.monotonic()
    model.eval()
    found = measure()
    save(measured=found)
    log.write(json.dumps(dict(step=state["step"], **found)) + "\n")
    print(f"{state['step']} steps, {state['seconds'] / 60:.1f} minutes: {checkpoint}")
    print(json.dumps(found, indent=2))
