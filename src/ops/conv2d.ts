// 2-D convolution, with concatenation of two sources, nearest upsampling, bias, activation and residual fused.
import activation from "../../kernels/activation.wgsl";
import epilogue from "../../kernels/conv2d.epilogue.wgsl";
import simple from "../../kernels/conv2d.simple.wgsl";
import plainWeights from "../../kernels/weights.plain.wgsl";
import q8Weights from "../../kernels/weights.q8.wgsl";
import { floatBits, type Kernel } from "../gpu/kernel.ts";
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
  sizeOf,
  storageOf,
  type TensorType,
  type Variant,
} from "./op.ts";
import { unfitForScalar } from "./operands.ts";
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

/** Attributes of `conv2d`. */
export interface Conv2dAttributes {
  /** Default 1. */
  readonly stride?: number;
  /** Zeros on each side, in pixels of the (upsampled) input; default 0. */
  readonly padding?: number;
  /** Zeros at the bottom and on the right, where they differ from those at the top and on the left. */
  readonly paddingEnd?: number;
  /** 2: the input is first enlarged twice, nearest neighbour. Default 1. */
  readonly upsample?: 1 | 2;
  readonly activation?: Activation;
  /** Factor of the result, the residual included; default 1. */
  readonly scale?: number;
  /** Storage of the result; the input's when absent. */
  readonly dtype?: "f32" | "f16";
}

/**
 * Inputs: x [B, H, W, C], x2 [B, H, W, C2] or null (further channels), w [KH, KW, C + C2, O], b [O] or [1, O], or [B, O] with a bias for
 * each sample, or null, residual [B, HO, WO, O] or null. Output: y [B, HO, WO, O] = (act(conv([x | x2], w) + b) + residual) scale.
 */
export const conv2d: Op<Conv2dAttributes> = {
  name: "conv2d",

  infer(inputs, { stride = 1, padding = 0, paddingEnd = padding, upsample = 1, dtype }) {
    const x = required("conv2d", "x", inputs, 0);
    const w = required("conv2d", "w", inputs, 2);
    if (x.shape.length !== 4) throw shapeError("conv2d", "x", "[B, H, W, C]", x.shape);
    const [batch, height, width, channels] = x.shape as [number, number, number, number];
    const second = inputs[1]?.shape.at(-1) ?? 0;
    expectShape("conv2d", "x2", inputs[1], [batch, height, width, second]);
    const [kh, kw, , o] = w.shape as [number, number, number, number];
    if (w.shape.length !== 4 || w.shape[2] !== channels + second)
      throw shapeError("conv2d", "w", `[KH, KW, ${channels + second}, O]`, w.shape);
    const extent = (size: number, kernel: number) =>
      Math.floor((size * upsample + padding + paddingEnd - kernel) / stride) + 1;
    const shape = [batch, extent(height, kh), extent(width, kw), o];
    if (shape[1]! < 1 || shape[2]! < 1)
      throw shapeError("conv2d", "x", `at least ${kh}x${kw} pixels with padding ${padding}`, x.shape);
    expectShape(
      "conv2d",
      "b",
      inputs[3],
      isPerSample(inputs) ? [batch, o] : inputs[3]?.shape.length === 2 ? [1, o] : [o],
    );
    expectShape("conv2d", "residual", inputs[4], shape);
    return { shape, dtype: dtype ?? x.dtype };
  },

  reference([x, x2, w, b, residual], output, attributes) {
    const { stride = 1, padding = 0, upsample = 1, activation: act = "none", scale = 1 } = attributes;
    const [, height, width, c1] = x!.shape as [number, number, number, number];
    const c2 = x2?.shape[3] ?? 0;
    const [kh, kw, inputs, o] = w!.shape as [number, number, number, number];
    const [batch, ho, wo] = output.shape as [number, number, number];
    const y = new Float64Array(sizeOf(output));
    const sum = new Float64Array(o);
    for (let pixel = 0; pixel < batch * ho * wo; pixel++) {
      const [sample, row, column] = [Math.floor(pixel / (ho * wo)), Math.floor(pixel / wo) % ho, pixel % wo];
      const bias = b?.data.subarray(b.data.length > o ? sample * o : 0);
      for (let n = 0; n < o; n++) sum[n] = bias ? bias[n]! : 0;
      for (let tap = 0; tap < kh * kw; tap++) {
        const top = Math.floor((row * stride + Math.floor(tap / kw) - padding) / upsample);
        const left = Math.floor((column * stride + (tap % kw) - padding) / upsample);
        if (top < 0 || top >= height || left < 0 || left >= width) continue;
        const source = (sample * height + top) * width + left;
        for (let c = 0; c < inputs; c++) {
          const value = c < c1 ? x!.data[source * c1 + c]! : x2!.data[source * c2 + c - c1]!;
          const weights = (tap * inputs + c) * o;
          for (let n = 0; n < o; n++) sum[n]! += value * w!.data[weights + n]!;
        }
      }
      for (let n = 0; n < o; n++)
        y[pixel * o + n] = (activate(sum[n]!, act) + (residual ? residual.data[pixel * o + n]! : 0)) * scale;
    }
    return y;
  },

  flops(inputs, output) {
    const [kh, kw, channels] = inputs[2]!.shape as [number, number, number];
    return 2 * sizeOf(output) * kh * kw * channels;
  },

  variants: /* @__PURE__ */ conv2dVariants(),
};

// A pure call, so that bundlers leave it out where nobody uses the op.
function conv2dVariants(): Variant<Conv2dAttributes>[] {
  return [
    ...Object.entries(matrixTiles).map(([name, tile]) => matrixVariant(`conv2d.${name}`, tile)),
    {
      name: "conv2d.quad",
      suits: "software",
      unfit: (traits, inputs, output) =>
        unfitForSubgroups(traits) ?? unfitForQuads(inputs[2]!, output) ?? unfitVec4(inputs, output),
      unfavoured: unfavouredQuads,
      launch: (inputs, output, attributes) =>
        vec4Launch(
          "conv2d.quad",
          lazyKernels.software!.conv2dQuad,
          inputs,
          output,
          attributes,
          [Math.ceil(pixelsOf(output) / 32), 32],
          { enable: ["subgroups"] },
        ),
    },
    {
      name: "conv2d.subgroup",
      suits: "software",
      unfit: (traits, inputs, output) => unfitForSubgroups(traits) ?? unfitVec4(inputs, output),
      launch: (inputs, output, attributes, { subgroupSize }) =>
        vec4Launch(
          "conv2d.subgroup",
          lazyKernels.software!.conv2d,
          inputs,
          output,
          attributes,
          [pixelGroups(output), 2 * subgroupSize],
          {
            enable: ["subgroups"],
            constants: { LANES: subgroupSize },
          },
        ),
    },
    {
      name: "conv2d.register",
      suits: "software",
      unfit: (_, inputs, output) => unfitForSoftware() ?? unfitVec4(inputs, output),
      launch: (inputs, output, attributes) =>
        vec4Launch("conv2d.register", lazyKernels.software!.conv2dRegister, inputs, output, attributes, [
          pixelGroups(output),
          8,
        ]),
    },
    ...Object.entries(threadTiles).map(([name, tile]) => tiledVariant(`conv2d.${name}`, tile)),
    {
      name: "conv2d.tiled",
      suits: "hardware",
      unfit: (_, inputs, output) => unfitForHardware() ?? unfitVec4(inputs, output),
      launch: (inputs, output, attributes) =>
        vec4Launch(
          "conv2d.tiled",
          lazyKernels.hardware!.multiplyAdd + lazyKernels.hardware!.conv2dTiled,
          inputs,
          output,
          attributes,
          [Math.ceil(pixelsOf(output) / 64), 64],
        ),
    },
    {
      name: "conv2d.simple",
      suits: "any",
      unfit: (_, inputs, output) => unfitForScalar(...inputs, output),
      launch: (inputs, output, attributes) => ({
        kernel: {
          name: "conv2d.simple",
          code: activation + simple,
          bindings,
          parameters: ["C", "X2_C", "O", ...geometryNames],
          constants: { ACTIVATION: activationCode(attributes.activation) },
        },
        workgroups: grid1d(sizeOf(output), 64),
        parameters: [...channelsOf(inputs, output), ...geometry(inputs, output, attributes)],
      }),
    },
  ];
}

function matrixVariant(name: string, tile: MatrixTile): Variant<Conv2dAttributes> {
  return {
    name,
    suits: "hardware",
    unfit: (traits, inputs, output) =>
      unfitForMatrix(traits, tile, inputs[0], inputs[1], inputs[2]) ?? unfitVec4(inputs, output),
    unfavoured: (_, output, __, traits) =>
      // There is none smaller than the deep one.
      tile.deep > 1 ? undefined : tooFew(tileSize(tile, traits.matrix!), [pixelsOf(output), output.shape[3]!]),
    launch(inputs, output, attributes, traits) {
      const size = tileSize(tile, traits.matrix!);
      const { code, ...extra } = matrixProduct("conv2d", tile, traits);
      const groups = [Math.ceil(pixelsOf(output) / size[0]), size[1]] as const;
      return vec4Launch(name, code, inputs, output, attributes, groups, extra);
    },
  };
}

function tiledVariant(name: string, tile: ThreadTile): Variant<Conv2dAttributes> {
  const size = threadTileSize(tile);
  return {
    name,
    suits: "hardware",
    unfit: (traits, inputs, output) => unfitForTile(tile, traits) ?? unfitVec4(inputs, output),
    unfavoured: (_, output) => unfavouredTile(tile, [pixelsOf(output), output.shape[3]!]),
    launch(inputs, output, attributes) {
      const { code, ...extra } = tiledProduct("conv2d", tile);
      const groups = [Math.ceil(pixelsOf(output) / size[0]), size[1]] as const;
      return vec4Launch(name, code, inputs, output, attributes, groups, extra);
    },
  };
}

const bindings: Kernel["bindings"] = ["read", "read", "read", "read", "read", "write"];

const isPerSample = ([, , , bias]: Operands) => bias?.shape.length === 2 && bias.shape[0] !== 1;

/** Channels of x, of x2 and of y. */
function channelsOf(inputs: Operands, output: TensorType): number[] {
  return [inputs[0]!.shape[3]!, inputs[1]?.shape[3] ?? 0, output.shape[3]!];
}

function pixelsOf({ shape: [batch, height, width] }: TensorType): number {
  return batch! * height! * width!;
}

function unfitVec4(inputs: Operands, output: TensorType): string | undefined {
  const channels = channelsOf(inputs, output);
  return channels.some((c) => c % 4) ? `channels ${channels.join(", ")} are not all multiples of 4` : undefined;
}

// Workgroups of 8 threads over groups of 4 pixels that do not cross rows.
function pixelGroups({ shape: [batch, height, width] }: TensorType): number {
  return Math.ceil((batch! * height! * Math.ceil(width! / 4)) / 8);
}

const geometryNames = [
  "H",
  "W",
  "HO",
  "WO",
  "KH",
  "KW",
  "STRIDE",
  "PADDING",
  "UPSAMPLE",
  "HAS_BIAS",
  "BIAS_STRIDE",
  "HAS_RESIDUAL",
  "SCALE",
];

function geometry(inputs: Operands, output: TensorType, attributes: Conv2dAttributes): number[] {
  const [x, , w, b, r] = inputs;
  return [
    ...[x!.shape[1]!, x!.shape[2]!, output.shape[1]!, output.shape[2]!, w!.shape[0]!, w!.shape[1]!],
    ...[attributes.stride ?? 1, attributes.padding ?? 0, attributes.upsample ?? 1],
    ...[Number(Boolean(b)), isPerSample(inputs) ? output.shape[3]! : 0],
    ...[Number(Boolean(r)), floatBits(attributes.scale ?? 1)],
  ];
}

/** Launch of a vec4 variant; sizes and flags are its uniform, so that one pipeline serves every convolution of a storage and an activation. */
function vec4Launch(
  name: string,
  code: string,
  inputs: Operands,
  output: TensorType,
  attributes: Conv2dAttributes,
  [groups, channels]: readonly [number, number],
  extra: Partial<Kernel> = {},
): Launch {
  const [x, x2, w, , r] = inputs;
  return {
    kernel: {
      name,
      code: activation + (w!.dtype === "q8" ? q8Weights : plainWeights) + epilogue + code,
      bindings,
      parameters: ["C4", "X2_C4", "O4", ...geometryNames],
      storage: {
        x: storageOf(x),
        z: storageOf(x2 ?? x),
        w: storageOf(w),
        r: storageOf(r ?? output),
        y: storageOf(output),
      },
      ...extra,
      constants: { ...extra.constants, HAS_X2: Boolean(x2), ACTIVATION: activationCode(attributes.activation) },
    },
    workgroups: [groups, Math.ceil(output.shape[3]! / channels), 1],
    parameters: [...channelsOf(inputs, output).map((c) => c / 4), ...geometry(inputs, output, attributes)],
  };
}
