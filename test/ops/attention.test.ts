import { beforeAll } from "vitest";
import { attention } from "../../src/ops/attention.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { randomAttention } from "./attention.cases.ts";
import { testOp } from "./harness.ts";

beforeAll(() => loadKernelsFor({ software: false }));

// The kernel on matrices has a test of its own.
testOp(attention, randomAttention, { only: /\.(?!matrix)/ });
