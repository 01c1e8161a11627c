"""Opens what is judged, and what it is judged with: checkpoints of training, and folders as the engine reads them."""

import json
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "train"))

from reimagen import Config, ReImagen
from retriever import Config as RetrieverConfig, Retriever
from tensors import read_safetensors


def open_model(path, device):
    """A base stage from a `checkpoint.pt` (its averaged weights) or a folder. -> model, what it predicts, what identifies it."""
    path = Path(path)
    if path.is_dir():
        described = json.loads((path / "config.json").read_text())
        weights, kind = read_safetensors(path / "model.safetensors"), described["prediction"]
        sizes = {name: value for name, value in described.items() if name in Config.__dataclass_fields__}
        steps = None
    else:
        saved = torch.load(path, map_location="cpu")
        weights, kind, sizes = saved["average"], saved.get("plan", {}).get("prediction", "v"), saved["config"]
        steps = saved["state"]["step"]
    model = ReImagen(Config(**sizes))
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    model = model.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    return model, kind, dict(model=path.name if path.is_dir() else path.parent.name, steps=steps, weights=fingerprint(model))


def open_retriever(path, device):
    """A retriever from a `checkpoint.pt` or a folder."""
    path = Path(path)
    if path.is_dir():
        described = json.loads((path / "config.json").read_text())
        sizes = {name: value for name, value in described.items() if name in RetrieverConfig.__dataclass_fields__}
        weights = read_safetensors(path / "model.safetensors")
    else:
        saved = torch.load(path, map_location="cpu")
        sizes, weights = saved["plan"]["model"], saved["model"]
    model = Retriever(RetrieverConfig(**sizes))
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=False)
    return model.to(device).eval().requires_grad_(False)


def fingerprint(model):
    """A few digits that differ where weights do, so that pictures of another checkpoint are not taken for this one's."""
    return f"{sum(float(p.double().abs().sum()) for p in model.parameters()):.6f}"
