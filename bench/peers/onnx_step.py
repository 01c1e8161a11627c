"""Exports one step of the base U-Net at batch 2 to ONNX, for peers that run ONNX: python3 onnx_step.py [OUT].

A development tool; needs PyTorch. Text tokens, neighbour tokens and the embedding of time and text are inputs, as they
would be for whoever splits the model between request and step; keys and values of the context are part of the step.
Every token is seen. Beside OUT, a JSON file tells the shapes of the inputs and the step's work.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
import torch.onnx._internal.torchscript_exporter.onnx_proto_utils as onnx_proto_utils
from torch.utils.flop_counter import FlopCounterMode

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE.parent.parent / "weights"
sys.path.insert(0, str(WEIGHTS / "train"))
from reimagen import Config, ReImagen  # noqa: E402
from tensors import read_safetensors  # noqa: E402

BATCH = 2
TEXT_TOKENS = 16
NEIGHBORS = 2


def load_model(folder):
    """The checkpoint in `folder`, in float32."""
    settings = json.loads((folder / "config.json").read_text())
    fields = {key: value for key, value in settings.items() if key in Config.__dataclass_fields__}
    model = ReImagen(Config(**fields)).eval()
    weights = read_safetensors(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model


class Step(torch.nn.Module):
    """x [B, 3, S, S], embedding [B, time_dim], text [B, T, D], neighbour tokens of the fine and the coarse level -> v [B, 3, S, S]."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, embedding, text, fine, coarse):
        h, skips = self.model.down_stack(x, embedding, text, all_seen(text))
        contexts = [(torch.cat([text, tokens], 1), tokens.shape[1]) for tokens in (fine, coarse)]
        return self.model.up_stack(h, skips, embedding, [(context, all_seen(context), near) for context, near in contexts])


def all_seen(tokens):
    return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / ".cache" / "step.onnx"
    model = load_model(WEIGHTS / "emoji-64")
    config = model.config
    side = config.size // config.patch
    shapes = {
        "x": (3, config.size, config.size),
        "embedding": (config.time_dim,),
        "text": (TEXT_TOKENS, config.text_dim),
        "fine": (NEIGHBORS * side**2, config.text_dim),
        "coarse": (NEIGHBORS * (side // 2) ** 2, config.text_dim),
    }
    inputs = tuple(torch.randn(BATCH, *shape) for shape in shapes.values())
    step = Step(model)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        step(*inputs)
    out.parent.mkdir(parents=True, exist_ok=True)
    # The exporter would import the onnx package only to add functions that this model does not use.
    onnx_proto_utils._add_onnxscript_fn = lambda model_bytes, *_: model_bytes
    warnings.filterwarnings("ignore")
    torch.onnx.export(
        step,
        inputs,
        str(out),
        dynamo=False,
        opset_version=18,
        input_names=list(shapes),
        output_names=["v"],
    )
    gflop = counter.get_total_flops() / 1e9
    by_module = {name: sum(flops.values()) / 1e9 for name, flops in counter.get_flop_counts().items()}
    context_gflop = sum(flops for name, flops in by_module.items() if name.endswith(".kv_context"))
    facts = {"gflop": gflop, "contextGflop": context_gflop, "inputs": {name: [BATCH, *shape] for name, shape in shapes.items()}}
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{out}: {gflop:.2f} GFLOP a step at batch {BATCH}, {context_gflop:.2f} of it keys and values of the context")


if __name__ == "__main__":
    main()
