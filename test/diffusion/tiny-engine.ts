// The tiny model as the files that `createEngine` takes, whole or with a tensor changed; what it draws from; and how errors are expected.
import { expect } from "vitest";
import type { ModelFiles } from "../../src/diffusion/engine.ts";
import type { NeighborPicture } from "../../src/diffusion/neighbors.ts";
import { type ErrorCode, ReimagenError } from "../../src/errors.ts";
import type { Picture } from "../../src/io/picture.ts";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { Random } from "../ops/harness.ts";
import type { TinyModel } from "../tiny-model.ts";

/** Side of the tiny model's pictures. */
export const SIZE = 16;

/** Its files, in memory. */
export function filesOf({ config, tokenizer, tensors }: TinyModel): ModelFiles {
  return {
    name: "tiny",
    config: JSON.stringify(config),
    tokenizer: JSON.stringify(tokenizer),
    weights: async () => bytesSource("tiny/model.safetensors", writeSafetensors(tensors)),
  };
}

/** The model with other values in the tensors of this name, or whose names match. */
export function changed(model: TinyModel, name: string | RegExp, change: (values: Float32Array) => void): TinyModel {
  const tensors = model.tensors.map((tensor) => {
    if (typeof name === "string" ? tensor.name !== name : !name.test(tensor.name)) return tensor;
    const values = new Float32Array(tensor.bytes.slice().buffer);
    change(values);
    return { ...tensor, bytes: new Uint8Array(values.buffer) };
  });
  return { ...model, tensors };
}

/** A picture of noise. */
export function randomPicture(seed: number, width = SIZE, height = SIZE): Picture {
  const random = new Random(seed);
  return { width, height, pixels: Uint8ClampedArray.from({ length: width * height * 4 }, () => random.int(0, 255)) };
}

/** Neighbours of noise, with captions. */
export const neighbors = (count: number): NeighborPicture[] =>
  Array.from({ length: count }, (_, i) => ({ picture: randomPicture(50 + i), caption: `thing ${i}` }));

/** Expects a rejection with this code and sentence. */
export async function expectError(promise: Promise<unknown>, code: ErrorCode, sentence: RegExp): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(ReimagenError);
  expect([error.code, error.message]).toEqual([code, expect.stringMatching(sentence)]);
}
