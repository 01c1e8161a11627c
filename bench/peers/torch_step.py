"""The base U-Net's step in PyTorch, for the bench beside it: weights of the shipped model, on the CPU or, where there is one, on the CUDA device.

Speaks over stdin and stdout: a line of JSON each way, with f32 values raw behind it. First tells the version and the ways it can run; `prepare`
takes a way and the inputs and answers with the result; `step` runs the same again and answers with its milliseconds, from inputs on the CPU
to the result on the CPU.
"""

import json
import math
import sys
import time

import numpy
import torch
from onnx_step import WEIGHTS, Step, load_model

# What the others compute in is f32 too.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cuda.matmul.allow_tf32 = False

WAYS = ("CUDA, eager", "CUDA, compiled") if torch.cuda.is_available() else ("CPU, eager",)


def model_for(way):
    device = "cuda" if way.startswith("CUDA") else "cpu"
    step = Step(load_model(WEIGHTS / "emoji-64")).to(device)
    return device, torch.compile(step, mode="max-autotune") if way.endswith("compiled") else step


def run(device, step, inputs):
    with torch.no_grad():
        return step(*(tensor.to(device) for tensor in inputs)).cpu()


def read_tensor(shape):
    values = numpy.frombuffer(sys.stdin.buffer.read(4 * math.prod(shape)), dtype=numpy.float32)
    return torch.from_numpy(values.copy()).reshape(shape)


def answer(facts, values=b""):
    sys.stdout.buffer.write(json.dumps(facts | {"bytes": len(values)}).encode() + b"\n" + values)
    sys.stdout.buffer.flush()


def main():
    prepared = {}
    answer({"version": torch.__version__, "ways": WAYS})
    for line in iter(sys.stdin.buffer.readline, b""):
        request = json.loads(line)
        way = request["way"]
        if "shapes" in request:
            prepared[way] = (*model_for(way), [read_tensor(shape) for shape in request["shapes"]])
            # The second run is the first that compiles nothing.
            run(*prepared[way])
            answer({}, run(*prepared[way]).numpy().tobytes())
        else:
            start = time.perf_counter()
            run(*prepared[way])
            answer({"ms": (time.perf_counter() - start) * 1e3})


if __name__ == "__main__":
    main()
