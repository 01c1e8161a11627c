import { attention } from "../../src/ops/attention.ts";
import { randomAttention } from "./attention.cases.ts";
import { testOp } from "./harness.ts";

testOp(attention, randomAttention);
