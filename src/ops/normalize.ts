// Applies the affine of `groupNormAffine` and an activation: the second half of a group norm.
import simple from "../../kernels/normalize.simple.wgsl";
import vec4 from "../../kernels/normalize.vec4.wgsl";
import { type Activation, activate, activationCode, activationSource } from "./activation.ts";
import {
  expectShape,
  grid1d,
  type Launch,
  type Op,
  type Operands,
  required,
  shapeError,
  sizeOf,
  storageOf,
  type TensorType,
} from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of `normalize`. */
export interface NormalizeAttributes {
  readonly activation: Activation;
  /** Storage of the result; that of x when absent. */
  readonly dtype?: "f32" | "f16";
}

/**
 * Inputs: x [B, ..., C], x2 [B, ..., C2] or null (channels that follow those of x), affine [B, 2, C + C2] f32 (a, then b).
 * Output: [B, ..., C + C2] = act([x | x2] a + b).
 */
export const normalize: Op<NormalizeAttributes> = {
  name: "normalize",

  infer(inputs, { dtype }) {
    const x = required("normalize", "x", inputs, 0);
    const x2 = inputs[1];
    const affine = required("normalize", "affine", inputs, 2);
    if (x.shape.length < 2) throw shapeError("normalize", "x", "[B, ..., C]", x.shape);
    if (x2) expectShape("normalize", "x2", x2, [...x.shape.slice(0, -1), x2.shape.at(-1)!]);
    const channels = x.shape.at(-1)! + (x2?.shape.at(-1) ?? 0);
    expectShape("normalize", "affine", affine, [x.shape[0]!, 2, channels]);
    expectDtype("normalize", "x", x, "f32", "f16");
    expectDtype("normalize", "x2", x2, "f32", "f16");
    expectDtype("normalize", "affine", affine, "f32");
    return { shape: [...x.shape.slice(0, -1), channels], dtype: dtype ?? x.dtype };
  },

  reference([x, x2, affine], output, { activation }) {
    const n = output.shape.at(-1)!;
    const own = x!.shape.at(-1)!;
    const y = new Float64Array(sizeOf(output));
    const rows = y.length / n;
    for (let row = 0; row < rows; row++)
      for (let channel = 0; channel < n; channel++) {
        const v = channel < own ? x!.data[row * own + channel]! : x2!.data[row * (n - own) + channel - own]!;
        const at = Math.floor((row * output.shape[0]!) / rows) * 2 * n + channel;
        y[row * n + channel] = activate(v * affine!.data[at]! + affine!.data[at + n]!, activation);
      }
    return y;
  },

  flops: (_, output) => 2 * sizeOf(output),

  variants: [
    {
      name: "normalize.vec4",
      suits: "any",
      unfit: (_, [x, x2], output) => unfitForVec4(x, x2, output),
      launch: launchVec4,
    },
    {
      name: "normalize.simple",
      suits: "any",
      unfit: (_, [x, x2], output) => unfitForScalar(x, x2, output),
      launch: launchSimple,
    },
  ],
};

function specialise(
  variant: string,
  code: string,
  [x, x2]: Operands,
  output: TensorType,
  { activation }: NormalizeAttributes,
): Launch["kernel"] {
  return {
    name: `normalize.${variant}`,
    code: activationSource(activation) + code,
    bindings: ["read", "read", "read", "write"],
    storage: { x: storageOf(x), x2_: storageOf(x2 ?? x), y: storageOf(output) },
    parameters: ["C", "D", "ACTIVATION"],
  };
}

/** Channels of x and of x2, in kernels' elements of `width`, and the activation: one pipeline serves every norm of a storage. */
function parametersOf([x, x2]: Operands, { activation: kind }: NormalizeAttributes, width: number): number[] {
  return [x!.shape.at(-1)! / width, (x2?.shape.at(-1) ?? 0) / width, activationCode(kind)];
}

const pixelsOf = ({ shape }: TensorType) => shape.slice(1, -1).reduce((product, extent) => product * extent, 1);

function launchVec4(inputs: Operands, output: TensorType, attributes: NormalizeAttributes): Launch {
  // A thread takes 4 pixels, more in a picture so large that the grid's limit is met.
  const rows = Math.min(65535, Math.ceil(pixelsOf(output) / (8 * 4)));
  return {
    kernel: { ...specialise("vec4", vec4, inputs, output, attributes), constants: { HAS_X2: Boolean(inputs[1]) } },
    workgroups: [Math.ceil(output.shape.at(-1)! / 4 / 8), rows, output.shape[0]!],
    parameters: parametersOf(inputs, attributes, 4),
  };
}

function launchSimple(inputs: Operands, output: TensorType, attributes: NormalizeAttributes): Launch {
  return {
    kernel: specialise("simple", simple, inputs, output, attributes),
    workgroups: grid1d(sizeOf(output), 64),
    parameters: parametersOf(inputs, attributes, 1),
  };
}
