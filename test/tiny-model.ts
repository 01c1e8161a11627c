// A valid checkpoint of the Re-Imagen architecture that is small enough to be made, broken and drawn with in a moment.
import { denoisingLoop } from "../src/diffusion/loop.ts";
import { type ReimagenShape, reimagenModel, usualLow } from "../src/diffusion/reimagen.ts";
import { weightsOf } from "../src/graph/graph.ts";
import { prune } from "../src/graph/prune.ts";
import { type TensorBytes, writeSafetensors } from "../src/io/safetensors.ts";
import { type ModelConfig, readConfig } from "../src/models/config.ts";

/** The files of a checkpoint folder, ready to be changed and written. */
export interface TinyModel {
  config: ModelConfig;
  tokenizer: unknown;
  tensors: TensorBytes[];
}

const config = {
  architecture: "reimagen",
  prediction: "v",
  schedule: "cosine",
  size: 16,
  patch: 2,
  channels: [16],
  blocks: [1],
  down_attention: [false],
  up_attention: [true],
  self_attention: [true],
  head_dim: 16,
  norm_groups: 4,
  text_dim: 16,
  text_layers: 1,
  text_heads: 1,
  text_ff: 16,
  text_len: 24,
  vocab: 80,
  time_dim: 16,
};

/** Random weights (the same every time), and a tokenizer that spells. `change`: keys of the config that are to be others. */
export function tinyModel(change: Partial<ModelConfig> = {}): TinyModel {
  const checked = readConfig("tiny", JSON.stringify({ ...config, ...change }));
  return { config: checked, tokenizer: spellingTokenizer(), tensors: randomTensors(checked) };
}

/** A super-resolution stage behind it: 16 pixels become 64; with neighbours. */
export const tinyUpscaler = (): TinyModel => tinyModel({ size: 64, patch: 4, cond_channels: 3 });

/** One behind that: 64 pixels become 256; without neighbours, and of the other kind of prediction. */
export const tinyLastUpscaler = (): TinyModel =>
  tinyModel({ size: 256, patch: 16, cond_channels: 3, neighbors: false, prediction: "x0" });

/** Writes a checkpoint folder; `weights` instead of the tensors, where the file itself is to be broken. */
export async function writeModel(folder: string, model: TinyModel, weights?: Uint8Array): Promise<string> {
  // Imported here, as browsers, which have no files, import the model too.
  const fsModule = "node:fs/promises";
  const { mkdir, writeFile } = (await import(/* @vite-ignore */ fsModule)) as typeof import("node:fs/promises");
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/config.json`, JSON.stringify(model.config));
  await writeFile(`${folder}/tokenizer.json`, JSON.stringify(model.tokenizer));
  await writeFile(`${folder}/model.safetensors`, weights ?? writeSafetensors(model.tensors));
  return folder;
}

function randomTensors(config: ModelConfig): TensorBytes[] {
  const low = usualLow(config);
  const shape: ReimagenShape = {
    storage: "f32",
    pictures: 1,
    evaluations: 2,
    texts: 2,
    neighbors: config.neighbors ? 1 : 0,
    ...(low && { low }),
    thresholding: { kind: "none" },
    stochastic: false,
    multistep: false,
  };
  const loop = denoisingLoop(reimagenModel(config, shape), shape);
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 0.6;
  };
  return weightsOf(prune(loop)).flatMap(({ source }) => {
    if (source.kind !== "weight") return [];
    const { names, shape } = source.weight;
    const size = shape.reduce((product, side) => product * side, 1);
    return names.map((name) => {
      const bytes = new Uint8Array(Float32Array.from({ length: size }, random).buffer);
      return { name, dtype: "F32", shape, bytes };
    });
  });
}

function spellingTokenizer(): unknown {
  const characters = [..."0123456789abcdefghijklmnopqrstuvwxyz"];
  const special = ["[PAD]", "[UNK]", "[EOS]"];
  const tokens = [...special, ...characters, ...characters.map((character) => `##${character}`)];
  const end = { SpecialToken: { id: "[EOS]", type_id: 0 } };
  return {
    added_tokens: special.map((content, id) => ({ id, content, special: true })),
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Split", pattern: { Regex: "[^a-z0-9]+" }, behavior: "Removed", invert: false },
    post_processor: { type: "TemplateProcessing", single: [{ Sequence: { id: "A", type_id: 0 } }, end] },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 64,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
}
