// Texts for a pipeline's text encoder, as its authors prepare them.
import { ReimagenError } from "../../errors.ts";
import { type Folder, subfolder } from "../../io/folder.ts";
import { openTokenizer } from "../../io/tokenizer.ts";
import type { TokenizedText, Tokenizer } from "../../io/tokens.ts";
import type { TextConfig } from "./definition.ts";

/** What Stable Diffusion and DeepFloyd IF were trained with: so many tokens, padding included. */
export const mostTokens = 77;

/** What a text encoder made of a prompt, of what stands in its place where the text is left out, and of captions. */
export interface TextStates {
  /** [R, T, D] */
  readonly states: Float32Array<ArrayBuffer>;
  readonly tokens: number;
  /** Of each text: what was cut, words that the encoder does not know. */
  readonly warnings: readonly (readonly string[])[];
}

/** Texts as an encoder's graph takes them. */
export interface PreparedTexts {
  /** [R, T] */
  readonly ids: Uint32Array<ArrayBuffer>;
  /** [R, 1, 2] */
  readonly table: Uint32Array<ArrayBuffer>;
  readonly tokens: number;
  readonly warnings: readonly (readonly string[])[];
}

/** Opens the tokenizer beside a text encoder. Throws `config` (also where it has more words than the encoder), `checkpoint`, `aborted`. */
export async function openWords(folder: Folder, text: TextConfig, signal?: AbortSignal): Promise<Tokenizer> {
  const tokenizer = await openTokenizer(subfolder(folder, "tokenizer"), signal);
  if (tokenizer.vocabularySize > text.config.vocab_size)
    throw new ReimagenError(
      "config",
      `${folder.name}: the tokenizer has ${tokenizer.vocabularySize} words, but the text encoder's vocab_size is ${text.config.vocab_size}`,
    );
  return tokenizer;
}

/** Tokens of a text, padding included. */
export function tokensOf(text: TextConfig): number {
  return text.kind === "clip" ? Math.min(mostTokens, text.config.max_position_embeddings) : mostTokens;
}

/** The first so many of the texts. */
export function firstTexts({ states, tokens, warnings }: TextStates, count: number): TextStates {
  const each = states.length / warnings.length;
  return { states: states.subarray(0, count * each), tokens, warnings: warnings.slice(0, count) };
}

/** The prompt, what it is guided away from, and captions, as ids. T5 reads them in lower case and does not see padding; CLIP sees it, as Stable Diffusion was trained. */
export function prepareTexts(tokenizer: Tokenizer, text: TextConfig, texts: readonly string[]): PreparedTexts {
  const tokens = tokensOf(text);
  const ids = new Uint32Array(texts.length * tokens);
  const read = texts.map((given, row) => {
    const words = tokenizer.tokenize(text.kind === "t5" ? given.toLowerCase().trim() : given, tokens);
    ids.set(words.ids, row * tokens);
    return words;
  });
  const lengths = read.map(({ length }) => (text.kind === "t5" ? length : tokens));
  return {
    ids,
    table: Uint32Array.from(lengths.flatMap((length, row) => [row, length])),
    tokens,
    warnings: read.map((words, row) => warningsOf(nameOf(row), words, tokens)),
  };
}

function nameOf(row: number): string {
  return ["prompt", "negative prompt"][row] ?? `caption of neighbour ${row - 1}`;
}

function warningsOf(name: string, { cut, unknown }: TokenizedText, tokens: number): string[] {
  return [
    ...(cut ? [`the ${name} is longer than ${tokens - 1} tokens; left out: "${cut}"`] : []),
    ...(unknown.length ? [`the ${name} has words that the text encoder does not know: ${unknown.join(", ")}`] : []),
  ];
}
