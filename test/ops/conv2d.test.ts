import { conv2d } from "../../src/ops/conv2d.ts";
import { randomConv2d } from "./conv2d.cases.ts";
import { testOp } from "./harness.ts";

testOp(conv2d, randomConv2d);
