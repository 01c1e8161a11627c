"""safetensors, read and written."""

import json
import struct
from pathlib import Path

import torch

DTYPES = dict(F16=torch.float16, F32=torch.float32, I32=torch.int32)
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write_safetensors(path, tensors):
    """Header and tensors one after another, as the format asks."""
    head, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.detach().contiguous().numpy().tobytes()
        head[name] = dict(dtype=NAMES[tensor.dtype], shape=list(tensor.shape), data_offsets=[at, at + len(blob)])
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(blobs)


def read_safetensors(path):
    """All tensors of a file, by name."""
    raw = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    head = json.loads(raw[8 : 8 + length])
    head.pop("__metadata__", None)
    body = memoryview(raw)[8 + length :]

    def tensor(entry):
        begin, end = entry["data_offsets"]
        return torch.frombuffer(bytearray(body[begin:end]), dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])

    return {name: tensor(entry) for name, entry in head.items()}
