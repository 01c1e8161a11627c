// The T5 v1.1 encoder against a plain f64 reference of its published definition, and against the shipped model's own recording.
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../src/graph/graph.ts";
import { openSafetensors, type Safetensors, toFloat32 } from "../../src/io/safetensors.ts";
import { readT5Config, type T5Config, t5Encoder, t5Leaves, t5Names } from "../../src/models/t5.ts";
import { parameterCount, tensorShapes } from "../../src/models/tensors.ts";
import { fixture } from "../fixture.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { attend, dense, plus, rowsOf } from "./dense.ts";
import { asCheckpoint, randomTensors, type Tensor } from "./random_checkpoint.ts";
import { runEncoder, tableOf } from "./run_encoder.ts";

/** The text encoder of DeepFloyd IF, as its config.json says: T5 v1.1 XXL. */
const xxl = {
  architectures: ["T5EncoderModel"],
  d_ff: 10240,
  d_kv: 64,
  d_model: 4096,
  decoder_start_token_id: 0,
  dense_act_fn: "gelu_new",
  dropout_rate: 0.1,
  eos_token_id: 1,
  feed_forward_proj: "gated-gelu",
  initializer_factor: 1.0,
  is_encoder_decoder: true,
  is_gated_act: true,
  layer_norm_epsilon: 1e-6,
  model_type: "t5",
  num_decoder_layers: 24,
  num_heads: 64,
  num_layers: 24,
  output_past: true,
  pad_token_id: 0,
  relative_attention_max_distance: 128,
  relative_attention_num_buckets: 32,
  tie_word_embeddings: false,
  torch_dtype: "float16",
  transformers_version: "4.26.1",
  use_cache: true,
  vocab_size: 32128,
};

const tiny = (changes: object = {}) =>
  readT5Config(
    "config.json",
    JSON.stringify({ ...xxl, d_model: 32, d_kv: 8, d_ff: 48, num_heads: 3, num_layers: 3, vocab_size: 60, ...changes }),
  );

function build(config: T5Config, texts: number, length: number, storage: "f32" | "f16" = "f32") {
  const g = new GraphBuilder(storage);
  const ids = g.input("ids", [texts, length], "request", "u32");
  g.output("tokens", t5Encoder(g, config, t5Names, ids, g.input("table", [texts, 1, 2], "request", "u32")));
  return g.finish();
}

/** Raffel et al., 2020: bucket of key - query, half of the buckets for keys after the query, half of those for one distance each. */
function bucketOf(offset: number, buckets: number, most: number): number {
  const side = buckets / 2;
  const far = Math.abs(offset);
  const single = side / 2;
  const spread = single + Math.floor((Math.log(far / single) / Math.log(most / single)) * (side - single) + 1e-9);
  return (offset > 0 ? side : 0) + (far < single ? far : Math.min(spread, side - 1));
}

/** The states of one text, by the definition: pre-norm layers, no scaling of scores, one relative bias for all layers, keys past `length` unseen. */
function reference(config: T5Config, tensors: ReadonlyMap<string, Tensor>, ids: ArrayLike<number>, length: number) {
  const of = (name: string) => tensors.get(name)!;
  const relative = of("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
  const rms = (x: Float64Array, { data: gain }: Tensor) =>
    x.map((v, i) => {
      const from = i - (i % config.d_model);
      const row = x.subarray(from, from + config.d_model);
      const square = row.reduce((sum, u) => sum + u * u, 0) / config.d_model;
      return (v / Math.sqrt(square + config.layer_norm_epsilon)) * gain[i % config.d_model]!;
    });
  const gelu = (v: number) => (v / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)));
  let x = rowsOf(of("shared.weight"), ids);
  for (let block = 0; block < config.num_layers; block++) {
    const at = `encoder.block.${block}.layer`;
    const h = rms(x, of(`${at}.0.layer_norm.weight`));
    const [q, k, v] = ["q", "k", "v"].map((each) => dense(h, of(`${at}.0.SelfAttention.${each}.weight`)));
    const seen = attend(q!, k!, v!, config.num_heads, ids.length, (product, query, key, head) => {
      if (key >= length) return Number.NEGATIVE_INFINITY;
      const bucket = bucketOf(
        key - query,
        config.relative_attention_num_buckets,
        config.relative_attention_max_distance,
      );
      return product + relative.data[bucket * config.num_heads + head]!;
    });
    x = plus(x, dense(seen, of(`${at}.0.SelfAttention.o.weight`)));
    const n = rms(x, of(`${at}.1.layer_norm.weight`));
    const gate = dense(n, of(`${at}.1.DenseReluDense.wi_0.weight`)).map(gelu);
    const up = dense(n, of(`${at}.1.DenseReluDense.wi_1.weight`));
    x = plus(
      x,
      dense(
        gate.map((a, i) => a * up[i]!),
        of(`${at}.1.DenseReluDense.wo.weight`),
      ),
    );
  }
  return rms(x, of("encoder.final_layer_norm.weight"));
}

/** Gains near 1, a lively relative bias, matrices that keep the size of what they multiply. */
function spread(name: string, shape: readonly number[]): readonly [number, number] {
  if (name.includes("norm")) return [1, 0.2];
  if (name.includes("relative") || name === "shared.weight") return [0, 1];
  return [0, (name.includes(".q.") ? 0.6 : 1) / Math.sqrt(shape[1]!)];
}

/** Runs random texts of these lengths, padded to `length`; the error against the reference over all positions. */
async function errorOf(
  config: T5Config,
  storage: "f32" | "f16",
  lengths: readonly number[],
  length: number,
  scale: (name: string) => number = () => 1,
): Promise<number> {
  const random = new Random(7 + length);
  const graph = build(config, lengths.length, length, storage);
  const tensors = randomTensors(graph, random, (name, shape) => {
    const [centre, deviation] = spread(name, shape);
    return [centre, deviation * scale(name)];
  });
  const ids = Uint32Array.from({ length: lengths.length * length }, () => random.int(0, config.vocab_size - 1));
  const outputs = await runEncoder(graph, await asCheckpoint(tensors), { ids, table: tableOf(lengths) });
  const expected = lengths.flatMap((count, row) => [
    ...reference(config, tensors, ids.subarray(row * length, (row + 1) * length), count),
  ]);
  return relativeError(outputs.get("tokens")!, expected);
}

describe.each([
  { storage: "f32", most: 2e-4 },
  { storage: "f16", most: 1e-2 },
] as const)("T5 in $storage storage agrees with its definition", ({ storage, most }) => {
  it.each([
    { what: "one text", config: tiny(), lengths: [9], length: 9 },
    { what: "four texts of different lengths", config: tiny(), lengths: [13, 1, 7, 12], length: 13 },
    { what: "distances beyond the last bucket", config: tiny({ num_layers: 2 }), lengths: [150, 90], length: 150 },
    {
      what: "heads that do not add up to the model's width",
      config: tiny({ d_kv: 16, num_heads: 5 }),
      lengths: [11, 6],
      length: 11,
    },
    {
      what: "few buckets and short distances",
      config: tiny({ relative_attention_num_buckets: 8, relative_attention_max_distance: 20 }),
      lengths: [31],
      length: 31,
    },
    {
      what: "widths that are no multiples of four",
      config: tiny({ d_model: 30, d_kv: 7, d_ff: 45 }),
      lengths: [5, 8],
      length: 8,
    },
    {
      what: "another epsilon",
      config: tiny({ layer_norm_epsilon: 0.3 }),
      lengths: [6],
      length: 6,
    },
  ])("on $what", async ({ config, lengths, length }) => {
    const error = await errorOf(config, storage, lengths, length);
    console.info(`${storage}: ${error.toExponential(1)}`);
    expect(error).toBeLessThan(most);
  });
});

it("keeps a residual stream that half precision cannot hold", async () => {
  const loud = (name: string) => (name.includes("wi_1") ? 100 : name.includes("wo") ? 1e4 : 1);
  expect(await errorOf(tiny(), "f16", [9, 4], 9, loud)).toBeLessThan(1e-2);
});

it("computes what PyTorch recorded of the shipped model's encoder, under the names of public checkpoints", async () => {
  const shipped = await openSafetensors(await fixture("weights/emoji-64/model.safetensors"));
  const golden = await openSafetensors(await fixture("test/fixtures/emoji-64.golden.safetensors"));
  const shape = (name: string) => shipped.tensors.get(name)!.shape;
  const [vocabulary, dim] = shape("text.embed.weight") as [number, number];
  const heads = shape("text.relative.weight")[1]!;
  const layers = [...shipped.tensors.keys()].filter((name) => name.endsWith(".norm1.weight") && /^text/.test(name));
  const config = tiny({
    vocab_size: vocabulary,
    d_model: dim,
    d_kv: dim / heads,
    num_heads: heads,
    num_layers: layers.length,
    d_ff: shape("text.layers.0.wi_0.weight")[0]!,
  });
  const ids = new Uint32Array((await golden.read("in.ids")).slice().buffer);
  const graph = build(config, 1, ids.length);
  const tensors = new Map<string, Tensor>();
  for (const name of tensorShapes(graph).keys()) tensors.set(name, await tensorOf(shipped, shippedName(name)));
  const length = ids.indexOf(0);
  const expected = toFloat32(await golden.read("text.tokens"), golden.tensors.get("text.tokens")!.dtype);
  expect(relativeError(reference(config, tensors, ids, length), expected)).toBeLessThan(1e-6);
  const outputs = await runEncoder(graph, await asCheckpoint(tensors), { ids, table: tableOf([length]) });
  expect(relativeError(outputs.get("tokens")!, expected)).toBeLessThan(2e-4);
});

/** What the shipped checkpoint calls a tensor of a public one. */
function shippedName(name: string): string {
  const [, block, part, rest] = /^encoder\.block\.(\d+)\.layer\.(\d)\.(.*)\.weight$/.exec(name) ?? [];
  if (rest?.endsWith("relative_attention_bias")) return "text.relative.weight";
  if (rest === "layer_norm") return `text.layers.${block}.norm${Number(part) + 1}.weight`;
  if (rest) return `text.layers.${block}.${rest.split(".").at(-1)}.weight`;
  return name === "shared.weight" ? "text.embed.weight" : "text.norm.weight";
}

async function tensorOf(file: Safetensors, name: string): Promise<Tensor> {
  const { shape, dtype } = file.tensors.get(name)!;
  return { shape, data: Float64Array.from(toFloat32(await file.read(name), dtype)) };
}

describe("configs of public checkpoints", () => {
  it("T5 v1.1 XXL has the encoder's 4.762 billion parameters", () => {
    const count = parameterCount(tensorShapes(build(readT5Config("config.json", JSON.stringify(xxl)), 1, 77)));
    expect(count).toBe(4_762_310_656);
  });

  it("a checkpoint's decoder and copies are left where they are", () => {
    for (const name of ["decoder.block.0.layer.0.layer_norm.weight", "lm_head.weight", "encoder.embed_tokens.weight"])
      expect(t5Leaves(name), name).toBe(true);
    for (const name of tensorShapes(build(tiny(), 1, 4)).keys()) expect(t5Leaves(name), name).toBe(false);
  });

  it.each([
    [{ feed_forward_proj: "relu" }, 'feed_forward_proj must be "gated-gelu", got "relu"'],
    [{ feed_forward_proj: undefined }, "feed_forward_proj"],
    [{ model_type: "umt5" }, 'model_type must be "t5", got "umt5"'],
    [{ architectures: ["T5ForTokenClassification"] }, "architectures"],
    [{ is_gated_act: false }, "is_gated_act must be true to be supported, got false"],
    [{ d_model: 0 }, "d_model must be a positive integer, got 0"],
    [{ num_heads: undefined }, "num_heads must be a positive integer, got nothing"],
    [{ relative_attention_num_buckets: 30 }, "relative_attention_num_buckets 30 is not supported"],
    [{ quantization_config: { bits: 4 } }, 'not supported: quantization_config {"bits":4}'],
  ])("%o is refused by name", (change, message) => {
    expect(() => readT5Config("text_encoder/config.json", JSON.stringify({ ...xxl, ...change }))).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining(message) }),
    );
  });
});
