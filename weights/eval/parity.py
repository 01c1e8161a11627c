"""Engine against PyTorch: the same seed and settings draw the same picture. `python3 parity.py FOLDER ... [--seeds N] [--adapter A]`.

Each FOLDER is a stage as the engine reads it. For every seed the command line draws a held-out entity with two neighbours, a stage that enlarges
from a composed scene, and PyTorch the same from the engine's noise. Ends with an error where pictures differ by 2 of 255 or more on average.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from models import HERE, open_model  # first, as it says where the modules of training lie

from art import read_art
from cases import cases_of, real_scenes
from databases import Database, pictures_of
from diffusion import add_noise
from noise import LOW_STREAM, noise_of_seed
from png import write_png
from pngs import read_png
from sampler import Settings, draw
from scenes import Recipe, Scenes
from tokenizer import Tokenizer

ALLOWED = 2.0  # of 255
LOW_LEVEL = 0.1
NEIGHBOUR_TEXT_LENGTH = 14
CLI = ["npx", "tsx", "--import", "./src/node/wgsl-loader.mjs", "src/node/cli.ts", "generate"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--adapter", default="auto")
    options = parser.parse_args()
    art, tokenizer = read_art(64), Tokenizer(HERE / "../emoji-64/tokenizer.json")
    database = Database(art, range(len(art.entities)))
    scenes = Scenes(art, tokenizer, 32, Recipe(counts=(), backgrounds=1), 99, names=sorted(art.of_entity))
    worst = 0.0
    for folder in options.folders:
        model, kind, _ = open_model(folder, torch.device("cpu"))
        steps = json.loads((folder / "config.json").read_text()).get("steps")
        settings = Settings(steps=steps, mode="none") if model.config.cond_channels else Settings()
        for seed in range(options.seeds):
            name = random.Random(seed).choice(sorted(art.held_out["first"]))
            (case,) = cases_of("first", [name], 1)
            found = database.search(case.prompt, 2) if model.config.neighbors else []
            low = real_scenes(scenes, [case], seed) if model.config.cond_channels else None
            request = compose(model.config, art, tokenizer, case.prompt, found, low)
            difference = np.abs(by_engine(folder, request, seed, options.adapter) - by_pytorch(model, kind, request, seed, settings)).mean()
            worst = max(worst, difference)
            print(f"{folder}: {case.prompt!r}, seed {seed}: {difference:.3f} of 255", flush=True)
    assert worst < ALLOWED, f"pictures differ by {worst:.2f} of 255, {ALLOWED} are allowed"


def compose(config, art, tokenizer, prompt, found, low):
    """What is asked for: 8-bit pictures as both sides take them, and PyTorch's tensors."""
    pictures = F.interpolate(pictures_of(art, found), config.size, mode="bilinear") if found else None
    captions = [f"{art.entities[i]} emoji" for i in found]
    if low is not None:
        low = F.interpolate(low, config.size // 4, mode="area")
    return dict(
        prompt=prompt, captions=captions, pictures=pictures if pictures is None else bytes_of(pictures), low=None if low is None else bytes_of(low),
        ids=torch.tensor([tokenizer.ids(prompt, config.text_len)]),
        neighbour_ids=torch.tensor([[tokenizer.ids(caption, NEIGHBOUR_TEXT_LENGTH) for caption in captions]]),
    )  # fmt: skip


def by_engine(folder, request, seed, adapter):
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        words = [*CLI, request["prompt"], "--model", str(folder.resolve()), "--seed", str(seed), "--adapter", adapter, "--no-sheet"]
        for n, (picture, caption) in enumerate(zip(request["pictures"] if request["captions"] else (), request["captions"])):
            write_png(place / f"{n}.png", picture)
            words += ["--neighbor", f"{place / f'{n}.png'}={caption}"]
        words += ["-k", "0"] if not request["captions"] else []
        if request["low"] is not None:
            write_png(place / "low.png", request["low"][0])
            words += ["--picture", str(place / "low.png")]
        done = subprocess.run([*words, "-o", str(place / "out.png")], cwd=HERE / "../..", capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return read_png(place / "out.png").astype(float)


@torch.no_grad()
def by_pytorch(model, kind, request, seed, settings):
    config, neighbours, low = model.config, None, None
    if request["captions"]:
        keep = torch.ones(1, len(request["captions"]), dtype=torch.bool)
        neighbours = (values_of(request["pictures"])[None], request["neighbour_ids"], keep)
    if request["low"] is not None:
        picture, level = values_of(request["low"]), torch.tensor([LOW_LEVEL])
        noisy = add_noise(picture, level, noise_of_seed(seed, picture.shape[-1], LOW_STREAM))
        low = (F.interpolate(noisy, config.size, mode="bilinear", align_corners=False), level)
    drawn = draw(model, request["ids"], neighbours, noise_of_seed(seed, config.size), settings, kind, low)
    return bytes_of(drawn)[0].astype(float)


def bytes_of(pictures):
    """[n, 3, S, S] in [-1, 1] -> uint8 [n, S, S, 3]."""
    return np.floor(np.clip((pictures.permute(0, 2, 3, 1).numpy() + 1) * 127.5 + 0.5, 0, 255)).astype(np.uint8)


def values_of(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


if __name__ == "__main__":
    main()
