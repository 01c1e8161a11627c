// Linear layer: y = act(x w + b) + residual.
import activation from "../../kernels/activation.wgsl";
import epilogue from "../../kernels/linear.epilogue.wgsl";
import fewRows from "../../kernels/linear.few_rows.wgsl";
import simple from "../../kernels/linear.simple.wgsl";
import plainWeights from "../../kernels/weights.plain.wgsl";
import q8Weights from "../../kernels/weights.q8.wgsl";
import { type Activation, activate, activationCode } from "./activation.ts";
import { lazyKernels, unfitForHardware, unfitForSoftware, unfitForSubgroups } from "./lazy_kernels.ts";
import { type MatrixTile, matrixProduct, matrixTiles, tileSize, unfitForMatrix } from "./matrix.ts";
import {
  expectShape,
  grid1d,
  type Launch,
  type Op,
  type Operands,
  required,
  shapeError,
  showShape,
  sizeOf,
  storageOf,
  type TensorType,
  type Variant,
} from "./op.ts";
import { isTrailing, unfitForScalar } from "./operands.ts";
import { unfavouredQuads, unfitForQuads } from "./quads.ts";
import {
  type ThreadTile,
  threadTileSize,
  threadTiles,
  tiledProduct,
  tooFew,
  unfavouredTile,
  unfitForTile,
} from "./tiled.ts";

/** Attributes of `linear`. */
export interface LinearAttributes {
  readonly activation?: Activation;
  /** Storage of the result; the input's when absent. */
  readonly dtype?: "f32" | "f16";
}

type LinearVariant = Variant<LinearAttributes>;

/** Inputs: x [..., K], w [K, N], b [N] or null, residual [..., N] or null; a residual may be a trailing part of the output's shape, repeated. Output: [..., N]. */
export const linear: Op<LinearAttributes> = {
  name: "linear",

  infer(inputs, { dtype }) {
    const x = required("linear", "x", inputs, 0);
    const w = required("linear", "w", inputs, 1);
    const k = x.shape.at(-1)!;
    if (w.shape.length !== 2 || w.shape[0] !== k) throw shapeError("linear", "w", `[${k}, N]`, w.shape);
    const shape = [...x.shape.slice(0, -1), w.shape[1]!];
    expectShape("linear", "b", inputs[2], [w.shape[1]!]);
    const residual = inputs[3]?.shape;
    if (residual && !isTrailing(residual, shape))
      throw shapeError("linear", "residual", `${showShape(shape)} or a trailing part of it`, residual);
    return { shape, dtype: dtype ?? x.dtype };
  },

  reference([x, w, b, residual], output, { activation = "none" }) {
    const [k, n] = w!.shape as [number, number];
    const y = new Float64Array(sizeOf(output));
    for (let row = 0; row < y.length / n; row++)
      for (let column = 0; column < n; column++) {
        let sum = b ? b.data[column]! : 0;
        for (let i = 0; i < k; i++) sum += x!.data[row * k + i]! * w!.data[i * n + column]!;
        y[row * n + column] =
          activate(sum, activation) + (residual ? residual.data[(row * n + column) % residual.data.length]! : 0);
      }
    return y;
  },

  flops: (inputs, output) => 2 * sizeOf(output) * inputs[1]!.shape[0]!,

  variants: /* @__PURE__ */ linearVariants(),
};

// A pure call, so that bundlers leave it out where nobody uses the op.
function linearVariants(): LinearVariant[] {
  return [
    {
      name: "linear.few_rows",
      suits: "any",
      unfit: unfitFewRows,
      launch: (inputs, output, attributes) =>
        vec4Launch("linear.few_rows", fewRows, inputs, output, attributes, { rows: 4, columns: 32 }),
    },
    ...Object.entries(matrixTiles).map(([name, tile]) => matrixVariant(`linear.${name}`, tile)),
    {
      name: "linear.quad",
      suits: "software",
      unfit: (traits, inputs, output) => unfitForQuads(inputs[1]!, output) ?? unfitSubgroup(traits, inputs, output),
      unfavoured: unfavouredQuads,
      launch: (inputs, output, attributes) =>
        vec4Launch(
          "linear.quad",
          lazyKernels.software!.linearQuad,
          inputs,
          output,
          attributes,
          { rows: 32, columns: 32 },
          { enable: ["subgroups"] },
        ),
    },
    {
      name: "linear.subgroup",
      suits: "software",
      unfit: unfitSubgroup,
      launch: (inputs, output, attributes, { subgroupSize }) =>
        vec4Launch(
          "linear.subgroup",
          lazyKernels.software!.linear,
          inputs,
          output,
          attributes,
          { rows: 32, columns: 2 * subgroupSize },
          {
            enable: ["subgroups"],
            constants: { LANES: subgroupSize },
          },
        ),
    },
    {
      name: "linear.register",
      suits: "software",
      unfit: (traits, inputs, output) => unfitForSoftware() ?? unfitVec4(traits, inputs, output),
      launch: (inputs, output, attributes) =>
        vec4Launch("linear.register", lazyKernels.software!.linearRegister, inputs, output, attributes, {
          rows: 32,
          columns: 8,
        }),
    },
    ...Object.entries(threadTiles).map(([name, tile]) => tiledVariant(`linear.${name}`, tile)),
    {
      name: "linear.tiled",
      suits: "hardware",
      unfit: (traits, inputs, output) => unfitForHardware() ?? unfitVec4(traits, inputs, output),
      launch: (inputs, output, attributes) =>
        vec4Launch(
          "linear.tiled",
          lazyKernels.hardware!.multiplyAdd + lazyKernels.hardware!.linearTiled,
          inputs,
          output,
          attributes,
          {
            rows: 64,
            columns: 64,
          },
        ),
    },
    { name: "linear.simple", suits: "any", unfit: unfitSimple, launch: launchSimple },
  ];
}

function matrixVariant(name: string, tile: MatrixTile): LinearVariant {
  return {
    name,
    suits: "hardware",
    unfit: (traits, inputs, output) =>
      unfitForMatrix(traits, tile, inputs[0], inputs[1]) ?? unfitVec4(traits, inputs, output),
    unfavoured: (_, output, __, traits) =>
      // There is none smaller than the deep one.
      tile.deep > 1 ? undefined : tooFew(tileSize(tile, traits.matrix!), [rowsOf(output), output.shape.at(-1)!]),
    launch(inputs, output, attributes, traits) {
      const size = tileSize(tile, traits.matrix!);
      const { code, ...extra } = matrixProduct("linear", tile, traits);
      return vec4Launch(name, code, inputs, output, attributes, { rows: size[0], columns: size[1] }, extra);
    },
  };
}

function tiledVariant(name: string, tile: ThreadTile): LinearVariant {
  const [rows, columns] = threadTileSize(tile);
  return {
    name,
    suits: "hardware",
    unfit: (traits, inputs, output) => unfitForTile(tile, traits) ?? unfitVec4(traits, inputs, output),
    unfavoured: (_, output) => unfavouredTile(tile, [rowsOf(output), output.shape.at(-1)!]),
    launch(inputs, output, attributes) {
      const { code, ...extra } = tiledProduct("linear", tile);
      return vec4Launch(name, code, inputs, output, attributes, { rows, columns }, extra);
    },
  };
}

function unfitVec4(_: unknown, inputs: Operands, output: TensorType): string | undefined {
  const [k, n] = inputs[1]!.shape as [number, number];
  if (k % 4 || n % 4) return `K ${k} and N ${n} are not both multiples of 4`;
  return output.dtype === "u32" ? "integers" : undefined;
}

function unfitFewRows(traits: unknown, inputs: Operands, output: TensorType): string | undefined {
  const rows = rowsOf(output);
  return rows > 4 ? `${rows} rows, more than 4` : unfitVec4(traits, inputs, output);
}

function unfitSubgroup(
  traits: Parameters<NonNullable<LinearVariant["unfit"]>>[0],
  inputs: Operands,
  output: TensorType,
): string | undefined {
  return unfitForSubgroups(traits) ?? unfitVec4(traits, inputs, output);
}

function unfitSimple(_: unknown, inputs: Operands, output: TensorType): string | undefined {
  return unfitForScalar(...inputs, output);
}

const rowsOf = (output: TensorType) => sizeOf(output) / output.shape.at(-1)!;

/** Kernel of a vec4 variant; sizes and flags are its uniform, so that one pipeline serves every linear layer of a storage and an activation. */
function vec4Launch(
  name: string,
  code: string,
  inputs: Operands,
  output: TensorType,
  { activation: kind }: LinearAttributes,
  tile: { rows: number; columns: number },
  extra: Partial<Launch["kernel"]> = {},
): Launch {
  const [x, w, , r] = inputs;
  return {
    kernel: {
      name,
      code: activation + (w!.dtype === "q8" ? q8Weights : plainWeights) + epilogue + code,
      bindings: ["read", "read", "read", "read", "write"],
      parameters: ["K4", "N4", ...flags],
      storage: { x: storageOf(x), w: storageOf(w), r: storageOf(r ?? output), y: storageOf(output) },
      ...extra,
      constants: { ...extra.constants, ACTIVATION: activationCode(kind) },
    },
    workgroups: [Math.ceil(rowsOf(output) / tile.rows), Math.ceil(output.shape.at(-1)! / tile.columns), 1],
    parameters: [...w!.shape.map((extent) => extent / 4), ...flagValues(inputs)],
  };
}

const flags = ["HAS_BIAS", "HAS_RESIDUAL"];

function flagValues(inputs: Operands): number[] {
  return [Number(Boolean(inputs[2])), Number(Boolean(inputs[3]))];
}

function launchSimple(inputs: Operands, output: TensorType, { activation: kind }: LinearAttributes): Launch {
  return {
    kernel: {
      name: "linear.simple",
      code: activation + simple,
      bindings: ["read", "read", "read", "read", "write"],
      parameters: ["K", "N", ...flags],
      constants: { ACTIVATION: activationCode(kind) },
    },
    workgroups: grid1d(sizeOf(output), 64),
    parameters: [...inputs[1]!.shape, ...flagValues(inputs)],
  };
}
