"""Writes a checkpoint as the engine reads it: `python3 export.py CHECKPOINT FOLDER [--golden FILE]`.

FOLDER gets model.safetensors (f16, PyTorch names and layouts), config.json and tokenizer.json; `--golden` every stage's inputs
and outputs of one forward pass in float64 on the rounded weights, stored as f32, for parity tests.
"""

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import torch

from reimagen import Config, ReImagen
from tensors import write_safetensors
from tokenizer import Tokenizer

TOKENIZER = Path(__file__).parent.parent / "emoji-64" / "tokenizer.json"
NEIGHBOUR_TEXT_LENGTH = 14


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--golden", type=Path)
    options = parser.parse_args()
    saved = torch.load(options.checkpoint, map_location="cpu")
    weights = {name: tensor.half() for name, tensor in saved["average"].items()}
    config = Config(**saved["config"])

    options.folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(options.folder / "model.safetensors", weights)
    # A checkpoint of the first version says nothing of its prediction, which is v.
    prediction = saved.get("plan", {}).get("prediction", "v")
    described = dict(architecture="reimagen", prediction=prediction, schedule="cosine", **asdict(config))
    if config.cond_channels:
        described.update(low_factor=saved["plan"]["low"]["factor"], steps=saved["plan"]["low"]["steps"])
    for key in ("neighbors", "residual_std", "attention_pos"):
        if described[key] == getattr(Config(), key):
            del described[key]
    (options.folder / "config.json").write_text(json.dumps(described, indent=2) + "\n")
    if (options.folder / "tokenizer.json").resolve() != TOKENIZER.resolve():
        shutil.copyfile(TOKENIZER, options.folder / "tokenizer.json")
    if options.golden:
        model = ReImagen(config).double().eval()
        model.load_state_dict({name: tensor.double() for name, tensor in weights.items()})
        write_safetensors(options.golden, golden(model, Tokenizer(TOKENIZER)))
    step, size = saved["state"]["step"], (options.folder / "model.safetensors").stat().st_size
    print(f"{options.folder}: step {step}, {sum(w.numel() for w in weights.values())} parameters, {size} bytes")


@torch.no_grad()
def golden(model, tokenizer, seed=11, time=0.6):
    """One pass with a prompt and two neighbours of noise. -> tensors by name."""
    config, generator = model.config, torch.Generator().manual_seed(seed)
    x = torch.randn(1, 3 + config.cond_channels, config.size, config.size, generator=generator).double()
    t, level = torch.tensor([time]).double(), None
    found = {"in.x": x, "in.t": t}
    if config.cond_channels:
        level = found["in.level"] = torch.tensor([0.2]).double()
    ids = torch.tensor([tokenizer.ids("a sloth on the beach", config.text_len)])
    text, mask = model.text(ids)
    embedding = model.embed(t, text, mask, level)
    coarsest, skips = model.down_stack(x, embedding, text, mask)
    found.update({"text.tokens": text, "embedding": embedding, "down.out": coarsest})
    found.update({f"down.skip{i}": skip for i, skip in enumerate(skips)})
    found["v.no_neighbor"] = model(x, t, ids, None, level)
    rows = {"in.ids": ids.int()}
    if config.neighbors:
        neighbours = torch.rand(1, 2, 3, config.size, config.size, generator=generator).double() * 2 - 1
        captions = ("sloth emoji", "bear emoji")
        neighbour_ids = torch.tensor([[tokenizer.ids(text, NEIGHBOUR_TEXT_LENGTH) for text in captions]])
        keep = torch.ones(1, 2, dtype=torch.bool)
        two = model.encode_neighbors(neighbours, neighbour_ids, keep)
        one = model.encode_neighbors(neighbours[:, :1], neighbour_ids[:, :1], keep[:, :1])
        found["in.neighbors"] = neighbours
        found.update({f"neighbors.level{i}": tokens for i, (tokens, _) in enumerate(two)})
        found["v.two_neighbors"] = model(x, t, ids, two, level)
        found["v.one_neighbor"] = model(x, t, ids, one, level)
        rows["in.neighbor_ids"] = neighbour_ids.int()
    return {**{name: tensor.float() for name, tensor in found.items()}, **rows}


if __name__ == "__main__":
    main()
