// The learned retriever: texts and pictures as vectors in one space, computed by the engine.
import type { ModelFiles } from "../diffusion/engine.ts";
import { runOnce } from "../diffusion/pipeline/run-once.ts";
import { makeResident } from "../diffusion/resident.ts";
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { TensorData } from "../graph/executor.ts";
import { type Graph, GraphBuilder, weightsOf } from "../graph/graph.ts";
import { onWhite, type Picture } from "../io/picture.ts";
import { openSafetensors } from "../io/safetensors.ts";
import { parseJson } from "../io/tokenizer-json.ts";
import { readWordPiece } from "../io/wordpiece.ts";
import { imageTower } from "../models/image_tower.ts";
import { type RetrieverConfig, readRetrieverConfig } from "../models/retriever_config.ts";
import { textTower } from "../models/text_tower.ts";
import { type LoadOptions, loadWeights } from "../models/weights.ts";
import type { NeighborEntry } from "./database.ts";

/** A loaded retriever. Vectors are of unit length, [n, dim]. */
export interface Retriever {
  readonly config: RetrieverConfig;
  /** Of prompts, or of the words of entries. Throws `device-lost`, `not-finite`. */
  texts(texts: readonly string[]): Promise<Float32Array>;
  /** Of pictures with the config's size, on white. Throws `picture`, `device-lost`, `not-finite`. */
  pictures(pictures: readonly Picture[]): Promise<Float32Array>;
  /** What a database keeps of its entries: the unit sum of the vectors of the picture and of the words. Throws what both throw. */
  entries(entries: readonly { readonly picture: Picture; readonly text: string }[]): Promise<Float32Array>;
  /** Frees the weights. */
  dispose(): void;
}

/** Texts or pictures that one run takes at most; fewer run in the next power of two, so that there are few kinds of runs. */
const together = 32;

interface TowerShape {
  readonly tower: "texts" | "pictures";
  readonly count: number;
}

/** The words of an entry, as the retriever was trained to read them. */
export function entryText({ entity, tags }: Pick<NeighborEntry, "entity" | "tags">): string {
  return [entity, ...tags].join(", ");
}

/** Loads a retriever's folder onto a device. Throws `config`, `checkpoint`, `tensor`, `dtype`, `not-finite`, `limit`, `device-lost` or `aborted`. */
export async function createRetriever(gpu: Gpu, files: ModelFiles, options: LoadOptions = {}): Promise<Retriever> {
  const config = readRetrieverConfig(`${files.name}/config.json`, files.config);
  const tokenizerFile = `${files.name}/tokenizer.json`;
  const tokenizer = readWordPiece(tokenizerFile, parseJson(tokenizerFile, files.tokenizer));
  if (tokenizer.vocabularySize > config.vocab)
    throw new ReimagenError(
      "config",
      `${files.name}: the tokenizer has ${tokenizer.vocabularySize} words, but the config's vocab is ${config.vocab}`,
    );
  const { dim, size, text_len: length } = config;
  const graph = (shape: TowerShape) => towerGraph(config, shape);
  const resident = await makeResident<TowerShape>(
    gpu,
    {
      graph,
      async load(options) {
        const source = await files.weights(options.signal);
        try {
          const weights = (["texts", "pictures"] as const).flatMap((tower) => weightsOf(graph({ tower, count: 1 })));
          return await loadWeights(gpu, await openSafetensors(source, options.signal), weights, options);
        } finally {
          await source.close?.();
        }
      },
    },
    options,
  );

  async function run(
    tower: TowerShape["tower"],
    total: number,
    inputsOf: (begin: number, count: number, filled: number) => Map<string, TensorData>,
  ): Promise<Float32Array> {
    const vectors = new Float32Array(total * dim);
    for (let begin = 0; begin < total; begin += together) {
      const filled = Math.min(together, total - begin);
      const count = 2 ** Math.ceil(Math.log2(filled));
      const inputs = inputsOf(begin, count, filled);
      const [values] = await runOnce(gpu, resident, { tower, count }, inputs, ["vectors"]);
      vectors.set((values as Float32Array).subarray(0, filled * dim), begin * dim);
    }
    return normalized(files.name, vectors, dim);
  }

  const texts = async (given: readonly string[]) =>
    run("texts", given.length, (begin, count, filled) => {
      const ids = new Uint32Array(count * length);
      // Rows past the end have a token too, so that nothing divides by zero.
      const lengths = new Uint32Array(count).fill(1);
      for (let row = 0; row < filled; row++) {
        const words = tokenizer.tokenize(given[begin + row]!, length);
        ids.set(words.ids, row * length);
        lengths[row] = words.length;
      }
      const table = Uint32Array.from([...lengths].flatMap((tokens, row) => [row, tokens]));
      return new Map([["ids", ids] as const, ["table", table] as const, ["lengths", lengths] as const]);
    });

  const pictures = async (given: readonly Picture[]) => {
    const odd = given.find(({ width, height }) => width !== size || height !== size);
    if (odd)
      throw new ReimagenError(
        "picture",
        `the retriever takes pictures of ${size}x${size} pixels, got ${odd.width}x${odd.height}`,
      );
    return run("pictures", given.length, (begin, count, filled) => {
      const values = new Float32Array(count * size * size * 3);
      for (let i = 0; i < filled; i++) values.set(onWhite(given[begin + i]!), i * size * size * 3);
      return new Map([["pictures", values]]);
    });
  };

  return {
    config,
    texts,
    pictures,
    async entries(entries) {
      const seen = await pictures(entries.map(({ picture }) => picture));
      const told = await texts(entries.map(({ text }) => text));
      return normalized(
        files.name,
        seen.map((value, i) => value + told[i]!),
        dim,
      );
    },
    dispose: () => resident.dispose(),
  };
}

/** One tower for so many texts or pictures; its output is `vectors`. */
export function towerGraph(config: RetrieverConfig, { tower, count }: TowerShape): Graph {
  const g = new GraphBuilder();
  const input = (name: string, shape: readonly number[]) => g.input(name, shape, "request", "u32");
  const { size, text_len: length } = config;
  g.output(
    "vectors",
    tower === "texts"
      ? textTower(g, config, input("ids", [count, length]), input("table", [count, 1, 2]), input("lengths", [count]))
      : imageTower(g, config, g.input("pictures", [count, size, size, 3], "request")),
  );
  return g.finish();
}

/** Rows of unit length, in place. */
function normalized(name: string, vectors: Float32Array, dim: number): Float32Array {
  for (let at = 0; at < vectors.length; at += dim) {
    const row = vectors.subarray(at, at + dim);
    const length = Math.hypot(...row);
    if (!Number.isFinite(length) || length === 0)
      throw new ReimagenError("not-finite", `${name}: vector ${at / dim} has the length ${length}`);
    for (let i = 0; i < dim; i++) row[i]! /= length;
  }
  return vectors;
}
