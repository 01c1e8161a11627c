// Sum of two tensors, with an activation and a factor: residuals that no producer took in, positions, and the two halves of a conditioning vector.

import activation from "../../kernels/activation.wgsl";
import simple from "../../kernels/add.simple.wgsl";
import vec4 from "../../kernels/add.vec4.wgsl";
import { floatBits } from "../gpu/kernel.ts";
import { type Activation, activate, activationCode } from "./activation.ts";
import {
  grid1d,
  type Launch,
  type Op,
  type Operands,
  required,
  shapeError,
  showShape,
  sizeOf,
  storageOf,
} from "./op.ts";
import { expectDtype, isTrailing, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of `add`. */
export interface AddAttributes {
  readonly activation?: Activation;
  /** Factor of the result; default 1. */
  readonly scale?: number;
}

/**
 * Inputs: a, and b of a's shape or of a trailing part of it, leading extents of 1 aside ([N, D] or [1, N, D] for [B, N, D]).
 * Output: act(a + b) scale, of a's shape and storage.
 */
export const add: Op<AddAttributes> = {
  name: "add",

  infer(inputs) {
    const a = required("add", "a", inputs, 0);
    const b = required("add", "b", inputs, 1);
    const leading = b.shape.findIndex((extent) => extent !== 1);
    const repeated = leading < 0 ? [] : b.shape.slice(leading);
    if (b.shape.length > a.shape.length || (repeated.length > 0 && !isTrailing(repeated, a.shape)))
      throw shapeError("add", "b", `${showShape(a.shape)} or a trailing part of it`, b.shape);
    expectDtype("add", "a", a, "f32", "f16");
    expectDtype("add", "b", b, "f32", "f16");
    return a;
  },

  reference: ([a, b], _, { activation = "none", scale = 1 }) =>
    a!.data.map((v, i) => activate(v + b!.data[i % b!.data.length]!, activation) * scale),

  flops: (_, output) => sizeOf(output),

  variants: [
    {
      name: "add.vec4",
      suits: "any",
      unfit: (_, [a, b]) => unfitForVec4(a, b),
      launch: (inputs, output, attributes) => ({
        kernel: specialise("vec4", vec4, inputs, attributes),
        workgroups: grid1d(sizeOf(output) / 4, 64),
        parameters: parametersOf(attributes),
      }),
    },
    {
      name: "add.simple",
      suits: "any",
      unfit: (_, [a, b]) => unfitForScalar(a, b),
      launch: (inputs, output, attributes) => ({
        kernel: specialise("simple", simple, inputs, attributes),
        workgroups: grid1d(sizeOf(output), 64),
        parameters: parametersOf(attributes),
      }),
    },
  ],
};

function specialise(variant: string, code: string, [a, b]: Operands, attributes: AddAttributes): Launch["kernel"] {
  return {
    name: `add.${variant}`,
    code: activation + code,
    bindings: ["read", "read", "write"],
    storage: { a: storageOf(a), b: storageOf(b), y: storageOf(a) },
    parameters: ["SCALE"],
    constants: { ACTIVATION: activationCode(attributes.activation) },
  };
}

const parametersOf = ({ scale = 1 }: AddAttributes) => [floatBits(scale)];
