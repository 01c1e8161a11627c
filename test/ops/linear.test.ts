import { beforeAll } from "vitest";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { linear } from "../../src/ops/linear.ts";
import { testOp } from "./harness.ts";
import { randomLinear } from "./linear.cases.ts";

beforeAll(() => loadKernelsFor({ software: false }));

testOp(linear, randomLinear);
