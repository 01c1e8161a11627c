"""Writes a trained retriever as the engine reads it: `python3 retriever_export.py CHECKPOINT FOLDER [--golden FILE]`.

FOLDER gets model.safetensors (f16), config.json and tokenizer.json. The config's `id` is the weights' digest: embeddings that another
retriever made are told apart by it. `--golden` adds inputs and outputs of both towers in float64 on the rounded weights, for parity tests.
"""

import argparse
import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import torch

from export import write_safetensors
from retriever import TOKENIZER, Config, Retriever
from tokenizer import Tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--golden", type=Path)
    options = parser.parse_args()
    saved = torch.load(options.checkpoint, map_location="cpu")
    config = Config(**saved["plan"]["model"])
    # The temperature is for training alone.
    weights = {name: tensor.half() for name, tensor in saved["model"].items() if name != "scale"}
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "model.safetensors"
    write_safetensors(file, weights)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    described = dict(architecture="retriever", id=digest, **asdict(config))
    (options.folder / "config.json").write_text(json.dumps(described, indent=2) + "\n")
    shutil.copyfile(TOKENIZER, options.folder / "tokenizer.json")
    if options.golden:
        model = Retriever(config).double().eval()
        model.load_state_dict({name: tensor.double() for name, tensor in weights.items()}, strict=False)
        write_safetensors(options.golden, golden(model, Tokenizer(TOKENIZER)))
    parameters = sum(tensor.numel() for tensor in weights.values())
    print(f"{options.folder}: step {saved['state']['step']}, {parameters} parameters, {file.stat().st_size} bytes, id {digest}")


@torch.no_grad()
def golden(model, tokenizer, seed=11):
    """Pictures of blocks, and texts of several lengths. -> inputs and unit vectors by name."""
    generator = torch.Generator().manual_seed(seed)
    size = model.config.size
    # Whole bytes, as pictures have them.
    blocks = torch.randint(256, (3, 3, size // 8, size // 8), generator=generator) / 127.5 - 1
    pictures = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3).double()
    texts = ["a moose on a sunset beach", "fox", "grinning face, cheerful, cheery, face, grin, happy, laugh, nice, smile, teeth"]
    ids = torch.tensor([tokenizer.ids(text, model.config.text_len) for text in texts])
    unit = torch.nn.functional.normalize
    found = {"in.pictures": pictures, "pictures": unit(model.image(pictures), dim=1), "texts": unit(model.words(ids), dim=1)}
    return {**{name: tensor.float() for name, tensor in found.items()}, "in.ids": ids.int()}


if __name__ == "__main__":
    main()
