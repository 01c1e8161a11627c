import { beforeAll } from "vitest";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { linear } from "../../src/ops/linear.ts";
import { testOp } from "./harness.ts";
import { randomLinear } from "./linear.cases.ts";

beforeAll(() => loadKernelsFor({ software: false }));

// The large kernels for GPUs have a test of their own.
testOp(linear, randomLinear, { only: /\.(?!matrix|tiled_)/ });
