// CLIP's text encoder against a plain f64 reference of its published definition.
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../src/graph/graph.ts";
import {
  type ClipTextConfig,
  clipPooled,
  clipTextEncoder,
  clipTextEnds,
  clipTextLeaves,
  readClipTextConfig,
} from "../../src/models/clip_text.ts";
import { parameterCount, tensorShapes } from "../../src/models/tensors.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { attend, dense, plus, rowsOf } from "./dense.ts";
import { asCheckpoint, randomTensors, type Tensor } from "./random_checkpoint.ts";
import { runEncoder, tableOf } from "./run_encoder.ts";

/** The text encoder of Stable Diffusion 1.5, as its config.json says: CLIP ViT-L/14's. */
const vitL = {
  _name_or_path: "openai/clip-vit-large-patch14",
  architectures: ["CLIPTextModel"],
  attention_dropout: 0.0,
  bos_token_id: 0,
  dropout: 0.0,
  eos_token_id: 2,
  hidden_act: "quick_gelu",
  hidden_size: 768,
  initializer_factor: 1.0,
  initializer_range: 0.02,
  intermediate_size: 3072,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 77,
  model_type: "clip_text_model",
  num_attention_heads: 12,
  num_hidden_layers: 12,
  pad_token_id: 1,
  projection_dim: 768,
  torch_dtype: "float32",
  transformers_version: "4.22.0.dev0",
  vocab_size: 49408,
};

/** That of Stable Diffusion 2.1: OpenCLIP ViT-H/14's but for its last layer. */
const vitH = {
  ...vitL,
  hidden_act: "gelu",
  hidden_size: 1024,
  intermediate_size: 4096,
  num_attention_heads: 16,
  num_hidden_layers: 23,
  projection_dim: 512,
};

/** The second one of Stable Diffusion XL: OpenCLIP ViT-bigG/14's. */
const bigG = {
  ...vitL,
  architectures: ["CLIPTextModelWithProjection"],
  hidden_act: "gelu",
  hidden_size: 1280,
  intermediate_size: 5120,
  num_attention_heads: 20,
  num_hidden_layers: 32,
  projection_dim: 1280,
};

const read = (json: object) => readClipTextConfig("text_encoder/config.json", JSON.stringify(json));

const tiny = (changes: object = {}) =>
  read({
    ...vitL,
    hidden_size: 40,
    intermediate_size: 72,
    num_attention_heads: 5,
    num_hidden_layers: 3,
    max_position_embeddings: 77,
    vocab_size: 50,
    ...changes,
  });

function build(config: ClipTextConfig, texts: number, length: number, storage: "f32" | "f16" = "f32", skip = 0) {
  const g = new GraphBuilder(storage);
  const ids = g.input("ids", [texts, length], "request", "u32");
  const table = g.input("table", [texts, 1, 2], "request", "u32");
  const { tokens, last } = clipTextEncoder(g, config, ids, table, skip);
  g.output("tokens", tokens);
  g.output("pooled", clipPooled(g, config, last, g.input("ends", [texts], "request", "u32")));
  return g.finish();
}

/** Abramowitz & Stegun 7.1.5, the power series: near enough for the small arguments here. */
function erf(x: number): number {
  let sum = 0;
  let power = x;
  for (let n = 0; n < 80; n++) {
    sum += power / (2 * n + 1);
    power *= -(x * x) / (n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** States of one text after the final norm, `skip` layers before the last; by the definition: pre-norm layers, causal attention, keys past `length` unseen. */
function reference(
  config: ClipTextConfig,
  tensors: ReadonlyMap<string, Tensor>,
  ids: ArrayLike<number>,
  length: number,
  skip = 0,
): Float64Array {
  const of = (name: string) => tensors.get(`text_model.${name}`)!;
  const { hidden_size: dim, num_attention_heads: heads } = config;
  const norm = (x: Float64Array, name: string) =>
    x.map((v, i) => {
      const from = i - (i % dim);
      const row = x.subarray(from, from + dim);
      const mean = row.reduce((sum, u) => sum + u, 0) / dim;
      const variance = row.reduce((sum, u) => sum + (u - mean) ** 2, 0) / dim;
      const centred = (v - mean) / Math.sqrt(variance + config.layer_norm_eps);
      return centred * of(`${name}.weight`).data[i % dim]! + of(`${name}.bias`).data[i % dim]!;
    });
  const affine = (x: Float64Array, name: string) => dense(x, of(`${name}.weight`), of(`${name}.bias`));
  const activate = (v: number) =>
    config.hidden_act === "gelu" ? (v / 2) * (1 + erf(v / Math.SQRT2)) : v / (1 + Math.exp(-1.702 * v));
  const places = Array.from({ length: ids.length }, (_, i) => i);
  let x = plus(
    rowsOf(of("embeddings.token_embedding.weight"), ids),
    rowsOf(of("embeddings.position_embedding.weight"), places),
  );
  for (let layer = 0; layer < config.num_hidden_layers - skip; layer++) {
    const at = `encoder.layers.${layer}`;
    const h = norm(x, `${at}.layer_norm1`);
    const [q, k, v] = ["q", "k", "v"].map((each) => affine(h, `${at}.self_attn.${each}_proj`));
    const seen = attend(q!, k!, v!, heads, ids.length, (product, query, key) =>
      key > query || key >= length ? Number.NEGATIVE_INFINITY : product / Math.sqrt(dim / heads),
    );
    x = plus(x, affine(seen, `${at}.self_attn.out_proj`));
    const fed = affine(norm(x, `${at}.layer_norm2`), `${at}.mlp.fc1`).map(activate);
    x = plus(x, affine(fed, `${at}.mlp.fc2`));
  }
  return norm(x, "final_layer_norm");
}

function spread(name: string, shape: readonly number[]): readonly [number, number] {
  if (/norm.*weight$/.test(name)) return [1, 0.2];
  if (name.endsWith("bias")) return [0, 0.2];
  if (name.includes("embedding")) return [0, 1];
  return [0, 1.3 / Math.sqrt(shape[1]!)];
}

/** Errors of the states and of the pooled state of random texts. */
async function errorsOf(
  config: ClipTextConfig,
  storage: "f32" | "f16",
  { lengths, length, skip = 0 }: { lengths: readonly number[]; length: number; skip?: number },
): Promise<{ tokens: number; pooled: number }> {
  const random = new Random(11 + length);
  const graph = build(config, lengths.length, length, storage, skip);
  const tensors = randomTensors(graph, random, spread);
  const last = config.vocab_size - 1;
  // Ends once, in the middle, and the padding repeats the end, as in Stable Diffusion 1.
  const ends = lengths.map(() => random.int(0, length - 1));
  const ids = Uint32Array.from({ length: lengths.length * length }, (_, i) =>
    i % length >= ends[Math.floor(i / length)]! ? last : random.int(0, last - 1),
  );
  const outputs = await runEncoder(graph, await asCheckpoint(tensors), {
    ids,
    table: tableOf(lengths),
    ends: clipTextEnds(config, ids, length),
  });
  const text = (row: number) => ids.subarray(row * length, (row + 1) * length);
  const tokens = lengths.flatMap((count, row) => [...reference(config, tensors, text(row), count, skip)]);
  const pooled = lengths.flatMap((count, row) => {
    const at = ends[row]! * config.hidden_size;
    const state = reference(config, tensors, text(row), count).subarray(at, at + config.hidden_size);
    const projection = tensors.get("text_projection.weight");
    return [...(projection ? dense(state, projection) : state)];
  });
  return {
    tokens: relativeError(outputs.get("tokens")!, tokens),
    pooled: relativeError(outputs.get("pooled")!, pooled),
  };
}

const projected = { architectures: ["CLIPTextModelWithProjection"], projection_dim: 24, eos_token_id: 49 };

describe.each([
  { storage: "f32", most: 2e-4 },
  { storage: "f16", most: 1e-2 },
] as const)("CLIP in $storage storage agrees with its definition", ({ storage, most }) => {
  it.each([
    { what: "a full text of 77 tokens", config: tiny(), texts: { lengths: [77], length: 77 } },
    { what: "four texts", config: tiny(), texts: { lengths: [21, 21, 21, 21], length: 21 } },
    { what: "padding that is not seen", config: tiny(), texts: { lengths: [5, 16], length: 16 } },
    { what: "the exact gelu", config: tiny({ hidden_act: "gelu" }), texts: { lengths: [9, 9], length: 9 } },
    { what: "a projection and a named end", config: tiny(projected), texts: { lengths: [7, 7, 7], length: 7 } },
    { what: "a layer skipped", config: tiny(projected), texts: { lengths: [12], length: 12, skip: 1 } },
    { what: "all layers skipped", config: tiny(), texts: { lengths: [3], length: 3, skip: 3 } },
    {
      what: "widths that are no multiples of four, and another epsilon",
      config: tiny({ hidden_size: 21, num_attention_heads: 3, intermediate_size: 33, layer_norm_eps: 0.2 }),
      texts: { lengths: [10, 10], length: 10 },
    },
  ])("on $what", async ({ config, texts }) => {
    const errors = await errorsOf(config, storage, texts);
    console.info(`${storage}: tokens ${errors.tokens.toExponential(1)}, pooled ${errors.pooled.toExponential(1)}`);
    expect(errors.tokens).toBeLessThan(most);
    expect(errors.pooled).toBeLessThan(most);
  });
});

describe("configs of public checkpoints", () => {
  // The first two as published for these checkpoints; the third counts the projection in.
  it.each([
    { name: "Stable Diffusion 1.5", json: vitL, count: 123_060_480 },
    { name: "Stable Diffusion 2.1", json: vitH, count: 340_387_840 },
    { name: "Stable Diffusion XL's second", json: bigG, count: 694_659_840 },
  ])("$name has $count parameters in its text encoder", ({ json, count }) => {
    expect(parameterCount(tensorShapes(build(read(json), 1, 77)))).toBe(count);
  });

  it("a table of positions in old checkpoints is left where it is", () => {
    expect(clipTextLeaves("text_model.embeddings.position_ids")).toBe(true);
    for (const name of tensorShapes(build(tiny(), 1, 4)).keys()) expect(clipTextLeaves(name), name).toBe(false);
  });

  it("the end of a text is its first end token, or its greatest id in configs that name none", () => {
    const ids = [40, 3, 49, 49, 40, 5, 6, 49];
    expect([...clipTextEnds(tiny({ eos_token_id: 49 }), ids, 4)]).toEqual([2, 7]);
    expect([...clipTextEnds(tiny(), [40, 3, 48, 0, 40, 5, 48, 48], 4)]).toEqual([2, 6]);
  });

  it("texts longer than the table of positions, and more layers than there are, are refused", () => {
    expect(() => build(tiny(), 1, 78)).toThrow("at most 77 tokens, got 78");
    expect(() => build(tiny(), 1, 7, "f32", 4)).toThrow("at most 3 layers of the text encoder can be skipped, got 4");
  });

  it.each([
    [{ hidden_act: "relu" }, 'hidden_act must be "quick_gelu" or "gelu", got "relu"'],
    [{ model_type: "clip" }, 'model_type must be "clip_text_model", got "clip"'],
    [{ architectures: ["CLIPModel"] }, "architectures must be a list of CLIPTextModel or CLIPTextModelWithProjection"],
    [{ num_attention_heads: 7 }, "num_attention_heads 7 is not supported: hidden_size 768 is not a multiple of it"],
    [{ hidden_size: 76.5 }, "hidden_size must be a positive integer, got 76.5"],
    [{ layer_norm_eps: "tiny" }, 'layer_norm_eps must be a number, got "tiny"'],
    [{ rope_theta: 1e4, text_config: {} }, "not supported: rope_theta 10000, text_config {}"],
  ])("%o is refused by name", (change, message) => {
    expect(() => read({ ...vitL, ...change })).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining(message) }),
    );
  });

  it("what is no config at all is refused", () => {
    expect(() => readClipTextConfig("config.json", "{")).toThrow("config.json is not JSON");
    expect(() => readClipTextConfig("config.json", "[]")).toThrow("config.json is not a JSON object");
  });
});
