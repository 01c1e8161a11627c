// Texts for a pipeline's text encoder, as its authors prepare them.
import { ReimagenError } from "../../errors.ts";
import { type Folder, subfolder } from "../../io/folder.ts";
import { openTokenizer } from "../../io/tokenizer.ts";
import type { Tokenizer } from "../../io/tokens.ts";
import type { TextConfig } from "./definition.ts";
import { textRows } from "./unet-model.ts";

/** What Stable Diffusion and DeepFloyd IF were trained with: so many tokens, padding included. */
export const mostTokens = 77;

/** What a text encoder made of a prompt and of what stands in its place where the text is left out. */
export interface TextStates {
  /** [2, T, D] */
  readonly states: Float32Array<ArrayBuffer>;
  readonly tokens: number;
  /** Text that was cut, words that the encoder does not know. */
  readonly warnings: readonly string[];
}

/** Texts as an encoder's graph takes them. */
export interface PreparedTexts {
  /** [2, T] */
  readonly ids: Uint32Array<ArrayBuffer>;
  /** [2, 1, 2] */
  readonly table: Uint32Array<ArrayBuffer>;
  readonly tokens: number;
  readonly warnings: readonly string[];
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

/** The prompt and what it is guided away from, as ids. T5 reads them in lower case and does not see padding; CLIP sees it, as Stable Diffusion was trained. */
export function prepareTexts(tokenizer: Tokenizer, text: TextConfig, prompt: string, negative: string): PreparedTexts {
  const tokens = tokensOf(text);
  const ids = new Uint32Array(textRows * tokens);
  const warnings: string[] = [];
  const lengths = Object.entries({ prompt, "negative prompt": negative }).map(([what, given], row) => {
    const words = tokenizer.tokenize(text.kind === "t5" ? given.toLowerCase().trim() : given, tokens);
    ids.set(words.ids, row * tokens);
    if (words.cut) warnings.push(`the ${what} is longer than ${tokens - 1} tokens; left out: "${words.cut}"`);
    if (words.unknown.length)
      warnings.push(`the ${what} has words that the text encoder does not know: ${words.unknown.join(", ")}`);
    return text.kind === "t5" ? words.length : tokens;
  });
  const table = Uint32Array.from(lengths.flatMap((length, row) => [row, length]));
  return { ids, table, tokens, warnings };
}
