// Attention: one softmax over several key/value segments, such as self ++ text ++ neighbours (Imagen's concatenated keys and values).
import segmentsFile from "../../kernels/attention.segments.wgsl";
import simple from "../../kernels/attention.simple.wgsl";
import { ReimagenError } from "../errors.ts";
import { floatBits, type Kernel } from "../gpu/kernel.ts";
import type { DeviceTraits } from "../gpu/traits.ts";
import { lazyKernels, unfitForHardware, unfitForSubgroups } from "./lazy_kernels.ts";
import { attentionSubgroups, beyondLimits, matrixAttention, unfitForMatrices } from "./matrix.ts";
import {
  expectShape,
  grid1d,
  type Op,
  type Operands,
  required,
  shapeError,
  sizeOf,
  storageOf,
  type TensorType,
} from "./op.ts";

/** Where a segment's tokens keep their keys and values: channel offsets of head 0. */
export interface Segment {
  readonly keys: number;
  readonly values: number;
}

/** Attributes of `attention`. */
export interface AttentionAttributes {
  readonly heads: number;
  /** At most 512. */
  readonly headDim: number;
  /** Factor of the scores: 1 / sqrt(headDim) for U-Nets, 1 for T5. */
  readonly scale: number;
  /** Channel offset of the queries in `q`. */
  readonly queries: number;
  /** One to three, matching the segment operands. */
  readonly segments: readonly Segment[];
  /** Of segment 0, a query sees the keys up to its own place only. */
  readonly causal?: boolean;
  /** Storage of the result; that of `q` when absent. */
  readonly dtype?: "f32" | "f16";
}

/**
 * Inputs: q [B, ..., stride], the axes between, which may be none, counting as N tokens; table u32 [B, segments, 2], for each sample and segment the row to begin at and the number of tokens
 * that count from there (0 leaves the segment out; more than a row runs on into the next, as a sample's neighbours do); bias f32 [N + T0 - 1, heads] or null, added to the scores of segment 0 by distance, row key - query + N - 1 (T5's relative bias);
 * then a tensor [rows, ..., stride] a segment, null where a segment is empty for good. Output: [B, ..., heads * headDim].
 */
export const attention: Op<AttentionAttributes> = {
  name: "attention",

  infer(inputs, { heads, headDim, queries, segments, dtype }) {
    const q = required("attention", "q", inputs, 0);
    const table = required("attention", "table", inputs, 1);
    if (q.shape.length < 2 || q.shape.at(-1)! < queries + heads * headDim)
      throw shapeError("attention", "q", `[B, ..., at least ${queries + heads * headDim}]`, q.shape);
    const [batch, count] = [q.shape[0]!, tokensOf(q)];
    if (segments.length < 1 || segments.length > 3 || inputs.length !== 3 + segments.length)
      throw new ReimagenError(
        "shape",
        `attention: 1 to 3 segments are possible, got ${segments.length} and ${inputs.length - 3} operands`,
      );
    if (headDim > 512) throw new ReimagenError("shape", `attention: headDim must be at most 512, got ${headDim}`);
    expectShape("attention", "table", table, [batch, segments.length, 2]);
    if (table.dtype !== "u32") throw new ReimagenError("dtype", `attention: table must be u32, got ${table.dtype}`);
    segments.forEach((segment, i) => {
      const type = inputs[3 + i];
      const least = Math.max(segment.keys, segment.values) + heads * headDim;
      if (type && (type.shape.length < 2 || type.shape.at(-1)! < least))
        throw shapeError("attention", `segment ${i}`, `[rows, ..., at least ${least}]`, type.shape);
    });
    expectShape("attention", "bias", inputs[2], [count + (inputs[3] ? tokensOf(inputs[3]) : 0) - 1, heads]);
    return { shape: [...q.shape.slice(0, -1), heads * headDim], dtype: dtype ?? (q.dtype === "f16" ? "f16" : "f32") };
  },

  reference([q, table, bias, ...tensors], output, { heads, headDim, scale, queries, segments, causal }) {
    const [batch, count, width] = [output.shape[0]!, tokensOf(output), heads * headDim];
    const y = new Float64Array(sizeOf(output));
    for (let sample = 0; sample < batch; sample++)
      for (let query = 0; query < count; query++)
        for (let head = 0; head < heads; head++) {
          const from = (sample * count + query) * q!.shape.at(-1)! + queries + head * headDim;
          const seen: { score: number; at: number; data: Float64Array }[] = [];
          segments.forEach((segment, s) => {
            const tensor = tensors[s];
            if (!tensor) return;
            const [rows, tokens, stride] = [tensor.shape[0]!, tokensOf(tensor), tensor.shape.at(-1)!];
            const row = table!.data[(sample * segments.length + s) * 2]!;
            const length = Math.min((rows - row) * tokens, table!.data[(sample * segments.length + s) * 2 + 1]!);
            const end = causal && s === 0 ? Math.min(length, query + 1) : length;
            for (let token = 0; token < end; token++) {
              const start = (row * tokens + token) * stride + head * headDim;
              let score = 0;
              for (let d = 0; d < headDim; d++) score += q!.data[from + d]! * tensor.data[start + segment.keys + d]!;
              score *= scale;
              if (bias && s === 0) score += bias.data[(token - query + count - 1) * heads + head]!;
              seen.push({ score, at: start + segment.values, data: tensor.data });
            }
          });
          const most = Math.max(...seen.map(({ score }) => score));
          const total = seen.reduce((sum, { score }) => sum + Math.exp(score - most), 0);
          for (let d = 0; d < headDim; d++)
            y[(sample * count + query) * width + head * headDim + d] = seen.reduce(
              (sum, { score, at, data }) => sum + (Math.exp(score - most) / total) * data[at + d]!,
              0,
            );
        }
    return y;
  },

  // How many tokens count is data; this takes one row of each segment.
  flops(inputs, output) {
    const tokens = inputs.slice(3).reduce((sum, type) => sum + (type ? tokensOf(type) : 0), 0);
    return 4 * sizeOf(output) * tokens;
  },

  variants: [
    {
      name: "attention.matrix",
      suits: "hardware",
      unfit: unfitForMatrixAttention,
      launch(inputs, output, attributes, traits) {
        const { code, ...extra } = matrixAttention(attributes.headDim, traits);
        const queries = attentionSubgroups(attributes.headDim) * traits.matrix!.M;
        return {
          kernel: { ...vec4Kernel("attention.matrix", code, inputs, output), ...extra },
          workgroups: [Math.ceil(tokensOf(output) / queries), attributes.heads, output.shape[0]!],
          parameters: parametersOf(inputs, attributes),
        };
      },
    },
    {
      name: "attention.subgroup",
      suits: "software",
      unfit: (traits, inputs, _, attributes) => unfitForSubgroups(traits) ?? unfitVec4(inputs, attributes),
      launch: (inputs, output, attributes, { subgroupSize }) => ({
        kernel: {
          ...vec4Kernel("attention.subgroup", lazyKernels.software!.attention, inputs, output),
          enable: ["subgroups"],
          constants: { D: attributes.headDim, LANES: subgroupSize },
        },
        workgroups: [Math.ceil(tokensOf(output) / 32), attributes.heads, output.shape[0]!],
        parameters: parametersOf(inputs, attributes),
      }),
    },
    {
      name: "attention.tiled",
      suits: "hardware",
      unfit: (_, inputs, __, attributes) =>
        attributes.headDim > 128
          ? `head dimension ${attributes.headDim} is above 128`
          : (unfitForHardware() ?? unfitVec4(inputs, attributes)),
      launch: (inputs, output, attributes) => ({
        kernel: {
          ...vec4Kernel("attention.tiled", lazyKernels.hardware!.attentionTiled, inputs, output),
          constants: { D: attributes.headDim },
        },
        workgroups: [Math.ceil(tokensOf(output) / 64), attributes.heads, output.shape[0]!],
        parameters: parametersOf(inputs, attributes),
      }),
    },
    {
      name: "attention.wide",
      suits: "hardware",
      unfit: (_, inputs, __, attributes) => unfitForHardware() ?? unfitVec4(inputs, attributes),
      launch: (inputs, output, attributes) => ({
        kernel: {
          ...vec4Kernel("attention.wide", lazyKernels.hardware!.attentionWide, inputs, output),
          constants: { COLUMNS: Math.ceil(attributes.headDim / 64) },
        },
        workgroups: [Math.ceil(tokensOf(output) / 16), attributes.heads, output.shape[0]!],
        parameters: parametersOf(inputs, attributes),
      }),
    },
    {
      name: "attention.simple",
      suits: "any",
      unfit: (_, inputs, output) =>
        [...inputs, output].some((type) => type?.dtype === "f16") ? "f16 storage" : undefined,
      launch: (inputs, output, attributes) => ({
        kernel: {
          name: "attention.simple",
          code: scalarAliases + segmentsFile + simple,
          bindings,
          parameters: parameterNames,
          constants: { D: attributes.headDim },
        },
        workgroups: grid1d(sizeOf(output), 64),
        parameters: parametersOf(inputs, attributes),
      }),
    },
  ],
};

const bindings: Kernel["bindings"] = ["read", "read", "read", "read", "read", "read", "write"];

/** Extent of the axes between the first and the last: [B, H, W, C] and [B, tokens, C] are the same to attention. */
function tokensOf({ shape }: { readonly shape: readonly number[] }): number {
  return shape.slice(1, -1).reduce((product, extent) => product * extent, 1);
}

const scalarAliases = "alias q_t = f32;\nalias s_t = f32;\nalias y_t = f32;\nconst ELEMENT = 1u;\n";
const vec4Aliases = "alias q_t = q4;\nalias s_t = s4;\nalias y_t = y4;\nconst ELEMENT = 4u;\n";

function unfitVec4(inputs: Operands, { headDim, queries, segments }: AttentionAttributes): string | undefined {
  if (headDim % 4) return `head dimension ${headDim} is not a multiple of 4`;
  const places = [
    queries,
    ...segments.flatMap((s) => [s.keys, s.values]),
    ...inputs.map((t, i) => (i === 0 || i > 2 ? (t?.shape.at(-1) ?? 0) : 0)),
  ];
  if (places.some((place) => place % 4)) return "offsets and strides are not all multiples of 4";
  const kinds = new Set(inputs.slice(3).flatMap((type) => (type ? [type.dtype] : [])));
  return kinds.size > 1 ? "segments of different storage" : undefined;
}

function unfitForMatrixAttention(
  traits: DeviceTraits,
  inputs: Operands,
  output: TensorType,
  attributes: AttentionAttributes,
): string | undefined {
  const { headDim } = attributes;
  // The shares are halves too, which a result in f32 would show.
  const unfit = unfitVec4(inputs, attributes) ?? unfitForMatrices(traits, [...inputs.slice(3), inputs[0], output]);
  if (unfit) return unfit;
  const { M, N, K } = traits.matrix!;
  if (headDim % N || headDim % K || headDim > 8 * N)
    return `head dimension ${headDim} is not a multiple of ${Math.max(N, K)} up to ${8 * N}`;
  const subgroups = attentionSubgroups(headDim);
  const queries = subgroups * M;
  return beyondLimits(traits, subgroups, (_, bytes) => {
    const operands = 2 * queries * (Math.max(headDim, 32) + 8) + 32 * (headDim + 8);
    return operands * bytes + queries * (36 + 3) * 4 + 8;
  });
}

function vec4Kernel(name: string, code: string, inputs: Operands, output: TensorType): Kernel {
  return {
    name,
    code: vec4Aliases + segmentsFile + code,
    bindings,
    parameters: parameterNames,
    storage: { q: storageOf(inputs[0]), s: storageOf(inputs.slice(3).find(Boolean)), y: storageOf(output) },
  };
}

const parameterNames = [
  ...["QUERIES", "HEADS", "Q_OFFSET", "Q_STRIDE", "SEGMENTS", "HAS_BIAS", "CAUSAL", "SCALE", "D4"],
  ...[0, 1, 2].flatMap((i) => [`S${i}_TOKENS`, `S${i}_STRIDE`, `S${i}_KEYS`, `S${i}_VALUES`]),
];

/** Sizes and offsets are the kernels' uniform, so that one pipeline serves every attention of a head dimension. */
function parametersOf(inputs: Operands, attributes: AttentionAttributes): number[] {
  const { heads, headDim, queries, segments, scale } = attributes;
  const places = [0, 1, 2].flatMap((i) => {
    const type = inputs[3 + i];
    return [type ? tokensOf(type) : 0, type?.shape.at(-1) ?? 0, segments[i]?.keys ?? 0, segments[i]?.values ?? 0];
  });
  const q = inputs[0]!;
  return [
    tokensOf(q),
    heads,
    queries,
    q.shape.at(-1)!,
    segments.length,
    Number(Boolean(inputs[2])),
    Number(Boolean(attributes.causal)),
    floatBits(scale),
    Math.ceil(headDim / 4),
    ...places,
  ];
}
