import { linear } from "../../src/ops/linear.ts";
import { testOp } from "./harness.ts";
import { randomLinear } from "./linear.cases.ts";

testOp(linear, randomLinear);
