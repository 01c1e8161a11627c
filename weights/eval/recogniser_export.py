"""Writes a trained recogniser as `run.py` takes it: `python3 recogniser_export.py CHECKPOINT FOLDER`. f16 weights, and what its columns mean."""

import argparse
import json
from pathlib import Path

import torch

from models import HERE  # first, as it says where the modules of training lie

from tensors import write_safetensors

KEPT = ("model", "names", "kinds", "styles", "steps", "batch", "seed", "art")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE / "recogniser")
    options = parser.parse_args()
    saved = torch.load(options.checkpoint, map_location="cpu")
    # How many batches a norm has seen matters to training alone.
    weights = {name: tensor.half() for name, tensor in saved["model"].items() if tensor.is_floating_point()}
    options.folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(options.folder / "model.safetensors", weights)
    described = {key: saved["plan"][key] for key in KEPT} | dict(measured=saved["measured"])
    (options.folder / "config.json").write_text(json.dumps(described, indent=2) + "\n")
    print(f"{options.folder}: {sum(tensor.numel() for tensor in weights.values())} parameters")


if __name__ == "__main__":
    main()
