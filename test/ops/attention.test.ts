import { attention } from "../../src/ops/attention.ts";
import { randomAttention } from "./attention.cases.ts";
import { testOp } from "./harness.ts";

// The kernel on matrices has a test of its own.
testOp(attention, randomAttention, { only: /\.(?!matrix)/ });
