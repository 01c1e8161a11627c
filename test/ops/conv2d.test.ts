import { beforeAll } from "vitest";
import { conv2d } from "../../src/ops/conv2d.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { randomConv2d } from "./conv2d.cases.ts";
import { testOp } from "./harness.ts";

beforeAll(() => loadKernelsFor({ software: false }));

// The large kernels for GPUs have a test of their own.
testOp(conv2d, randomConv2d, { only: /\.(?!matrix|tiled_)/ });
