// The one request that both sides of `step.ts` compute: prompts, neighbours, noise and time.
import { keyOf, philox4x32, stream, uniform } from "../../src/diffusion/philox.ts";
import type { EncodedText } from "../../src/diffusion/reimagen.ts";
import { onWhite } from "../../src/io/picture.ts";
import { readTokenizer } from "../../src/io/tokenizer.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { neighborsFor } from "../host.ts";

/** Samples in the batch. */
export const batch = 2;
/** Neighbours of each sample. */
export const neighborsEach = 2;
/** Tokens of each prompt; fixed, as the exported step has no mask. */
export const textTokens = 16;
/** Time of both samples. */
export const time = 0.9;

const prompts = [
  "a sloth holding a cup of coffee in front of a blue house at night",
  "a big moose on the left side and a small red car on the right",
];

/** What the engine's request stage is given. */
export interface StepRequest {
  readonly prompts: readonly EncodedText[];
  /** [S, S, 3] each; the first sample's, then the second's. */
  readonly pictures: readonly Float32Array[];
  readonly captions: readonly EncodedText[];
  /** [batch, S, S, 3], standard normal. */
  readonly x: Float32Array<ArrayBuffer>;
}

/** Encodes the prompts and finds their neighbours. Throws when a prompt has not `textTokens` tokens. */
export async function stepRequest(config: ModelConfig, tokenizerJson: string): Promise<StepRequest> {
  const tokenizer = readTokenizer("tokenizer.json", tokenizerJson);
  const neighbors = (await Promise.all(prompts.map((prompt) => neighborsFor(prompt, neighborsEach)))).flat();
  const encode = (text: string) => tokenizer.tokenize(text, config.text_len);
  const texts = prompts.map(encode);
  texts.forEach(({ length }, i) => {
    if (length !== textTokens) throw new Error(`"${prompts[i]}" has ${length} tokens, the step is for ${textTokens}`);
  });
  return {
    prompts: texts,
    pictures: neighbors.map(({ picture }) => onWhite(picture)),
    captions: neighbors.map(({ caption }) => encode(caption)),
    x: normal(batch * config.size ** 2 * 3),
  };
}

function normal(count: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const [a, b] = philox4x32([i, 0, stream.noise, 0], keyOf(1)).map(uniform) as [number, number];
    const radius = Math.sqrt(-2 * Math.log(1 - a));
    values[i] = radius * Math.cos(2 * Math.PI * b);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(2 * Math.PI * b);
  }
  return values;
}
