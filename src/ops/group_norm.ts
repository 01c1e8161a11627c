// Group norm's statistics, folded with its parameters and FiLM into one affine a sample and channel, which `normalize` applies.
import finish from "../../kernels/group_norm_affine.finish.wgsl";
import simple from "../../kernels/group_norm_affine.simple.wgsl";
import workgroupSum from "../../kernels/workgroup_sum.wgsl";
import { ReimagenError } from "../errors.ts";
import { lazyKernels, unfitForHardware, unfitForSoftware, unfitForSubgroupSum } from "./lazy_kernels.ts";
import {
  expectShape,
  grid1d,
  type Launch,
  type Op,
  type Operands,
  type ReferenceTensor,
  required,
  shapeError,
  sizeOf,
  storageOf,
  type TensorType,
} from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of `groupNormAffine`. */
export interface GroupNormAttributes {
  /** Divides the channels of x and x2 together; a group may have channels of both. */
  readonly groups: number;
  /** Added to the variance. */
  readonly epsilon: number;
}

const name = "group_norm_affine";

/**
 * Inputs: x [B, ..., C], x2 [B, ..., C2] or null (channels that follow those of x), gamma and beta [C + C2],
 * film [B or 1, 2 (C + C2)] or null (scale, then shift); parameters are f32.
 * Output: [B, 2, C + C2] f32, per sample the a and then the b of y = a x + b = GroupNorm(x) (1 + scale) + shift
 * (Wu & He, 2018, with biased variance; FiLM: Perez et al., 2017).
 */
export const groupNormAffine: Op<GroupNormAttributes> = {
  name,

  infer(inputs, { groups }) {
    const x = required(name, "x", inputs, 0);
    const x2 = inputs[1];
    if (x.shape.length < 2) throw shapeError(name, "x", "[B, ..., C]", x.shape);
    if (x2) expectShape(name, "x2", x2, [...x.shape.slice(0, -1), x2.shape.at(-1)!]);
    const channels = channelsOf(inputs);
    if (!Number.isInteger(channels / groups) || !Number.isInteger(groups))
      throw new ReimagenError("argument", `${name}: groups must divide the ${channels} channels, got ${groups}`);
    expectShape(name, "gamma", required(name, "gamma", inputs, 2), [channels]);
    expectShape(name, "beta", required(name, "beta", inputs, 3), [channels]);
    const film = inputs[4];
    const batch = x.shape[0]!;
    if (film) expectShape(name, "film", film, [film.shape[0] === 1 ? 1 : batch, 2 * channels]);
    expectDtype(name, "x", x, "f32", "f16");
    expectDtype(name, "x2", x2, "f32", "f16");
    for (const [i, operand] of ["gamma", "beta", "film"].entries()) expectDtype(name, operand, inputs[i + 2], "f32");
    return { shape: [batch, 2, channels], dtype: "f32" };
  },

  reference([x, x2, gamma, beta, film], output, { groups, epsilon }) {
    const [batch, , channels] = output.shape as [number, number, number];
    const width = channels / groups;
    const y = new Float64Array(sizeOf(output));
    for (let sample = 0; sample < batch; sample++)
      for (let channel = 0; channel < channels; channel++) {
        const first = Math.floor(channel / width) * width;
        const values = groupOf(x!, x2 ?? null, sample, first, first + width);
        const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
        const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
        const a = gamma!.data[channel]! / Math.sqrt(variance + epsilon);
        const row = film && film.shape[0] !== 1 ? sample * 2 * channels : 0;
        const scale = film ? 1 + film.data[row + channel]! : 1;
        const shift = film ? film.data[row + channels + channel]! : 0;
        y[sample * 2 * channels + channel] = a * scale;
        y[(sample * 2 + 1) * channels + channel] = (beta!.data[channel]! - mean * a) * scale + shift;
      }
    return y;
  },

  // One addition for the mean; a subtraction, a square and an addition for the variance.
  flops: ([x, x2]) => 4 * (sizeOf(x!) + (x2 ? sizeOf(x2) : 0)),

  variants: [
    {
      name: "group_norm_affine.register",
      suits: "software",
      unfit: (_, [x, x2]) => unfitForSoftware() ?? unfitForVec4(x, x2),
      launch: launchRegister,
    },
    {
      name: "group_norm_affine.subgroup",
      suits: "hardware",
      unfit: (traits, [x, x2]) => unfitForSubgroupSum(traits) ?? unfitForVec4(x, x2),
      launch(inputs, output, attributes) {
        const launch = launchWorkgroup("subgroup", lazyKernels.hardware!.subgroupSum, inputs, output, attributes);
        return { ...launch, kernel: { ...launch.kernel, enable: ["subgroups"] } };
      },
    },
    {
      name: "group_norm_affine.workgroup",
      suits: "hardware",
      unfit: (_, [x, x2]) => unfitForHardware() ?? unfitForVec4(x, x2),
      launch: (inputs, output, attributes) => launchWorkgroup("workgroup", workgroupSum, inputs, output, attributes),
    },
    {
      name: "group_norm_affine.simple",
      suits: "any",
      unfit: (_, [x, x2]) => unfitForScalar(x, x2),
      launch: launchSimple,
    },
  ],
};

const channelsOf = ([x, x2]: Operands) => x!.shape.at(-1)! + (x2?.shape.at(-1) ?? 0);

function groupOf(x: ReferenceTensor, x2: ReferenceTensor | null, sample: number, from: number, to: number): number[] {
  const own = x.shape.at(-1)!;
  const values: number[] = [];
  const pixels = x.data.length / own / x.shape[0]!;
  for (let row = sample * pixels; row < (sample + 1) * pixels; row++)
    for (let channel = from; channel < to; channel++)
      values.push(channel < own ? x.data[row * own + channel]! : x2!.data[row * x2!.shape.at(-1)! + channel - own]!);
  return values;
}

function specialise(
  variant: string,
  code: string,
  inputs: Operands,
  { epsilon }: GroupNormAttributes,
): Launch["kernel"] {
  const [x, x2] = inputs;
  return {
    name: `${name}.${variant}`,
    code: finish + code,
    bindings: ["read", "read", "read", "read", "read", "write"],
    parameters: ["N", "C", "D", "C4", "D4", "GROUPS", "WIDTH", "HAS_FILM"],
    storage: { x: storageOf(x), x2_: storageOf(x2 ?? x) },
    scalars: { EPSILON: epsilon },
  };
}

/** Sizes are the kernels' uniform, so that one pipeline serves every group norm of a storage. */
function parametersOf(inputs: Operands, { groups }: GroupNormAttributes): number[] {
  const [x, x2, , , film] = inputs;
  const channels = channelsOf(inputs);
  const [own, second] = [x!.shape.at(-1)!, x2?.shape.at(-1) ?? 0];
  const vectors = [Math.floor(own / 4), Math.floor(second / 4)];
  return [channels, own, second, ...vectors, groups, channels / groups, Number(Boolean(film))];
}

function launchRegister(inputs: Operands, output: TensorType, attributes: GroupNormAttributes): Launch {
  return {
    kernel: {
      ...specialise("register", lazyKernels.software!.groupNorm, inputs, attributes),
      constants: { HAS_X2: Boolean(inputs[1]) },
    },
    workgroups: grid1d(output.shape[0]! * attributes.groups, 8),
    parameters: parametersOf(inputs, attributes),
  };
}

/** `sum`: how a workgroup adds up. */
function launchWorkgroup(
  variant: string,
  sum: string,
  inputs: Operands,
  output: TensorType,
  attributes: GroupNormAttributes,
): Launch {
  const kernel = specialise(variant, sum + lazyKernels.hardware!.groupNorm, inputs, attributes);
  return {
    kernel: { ...kernel, constants: { THREADS: 256 } },
    workgroups: [attributes.groups, output.shape[0]!, 1],
    parameters: parametersOf(inputs, attributes),
  };
}

function launchSimple(inputs: Operands, output: TensorType, attributes: GroupNormAttributes): Launch {
  return {
    kernel: specialise("simple", simple, inputs, attributes),
    workgroups: grid1d(output.shape[0]! * attributes.groups, 8),
    parameters: parametersOf(inputs, attributes),
  };
}
