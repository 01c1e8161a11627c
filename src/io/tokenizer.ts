// Tokenizers from the files that checkpoints bring.
import { ReimagenError } from "../errors.ts";
import { readBpe, readClipVocabulary } from "./bpe.ts";
import { type Folder, readText } from "./folder.ts";
import { readSentencePiece } from "./sentencepiece.ts";
import { isObject, parseJson, unsupported } from "./tokenizer-json.ts";
import type { Tokenizer } from "./tokens.ts";
import { readUnigram } from "./unigram.ts";
import { readWordPiece } from "./wordpiece.ts";

export type { TokenizedText, Tokenizer } from "./tokens.ts";

/**
 * Reads a Hugging Face tokenizer.json: WordPiece as the shipped model has it, BPE as CLIP has it, Unigram as T5 has it. `padding`: the pad token, where a file
 * beside it names one; how long a row is, which some files say too, is the caller's to choose. `name` is for messages. Errors: config, naming any component that is not supported.
 */
export function readTokenizer(name: string, json: string, padding?: string): Tokenizer {
  const file = parseJson(name, json);
  const kind = isObject(file.model) ? file.model.type : undefined;
  switch (kind) {
    case "WordPiece":
      return readWordPiece(name, file);
    case "BPE":
      return readBpe(name, file, padding);
    case "Unigram":
      return readUnigram(name, file, padding);
    default:
      throw unsupported(name, "model", file.model);
  }
}

/**
 * Opens the tokenizer of a folder as a pipeline has it: `tokenizer.json`, or else CLIP's `vocab.json` and `merges.txt`, or T5's `spiece.model`; the pad token as
 * `tokenizer_config.json` or `special_tokens_map.json` names it. Errors: config, checkpoint (none of these files is there), aborted.
 */
export async function openTokenizer(folder: Folder, signal?: AbortSignal): Promise<Tokenizer> {
  const has = async (file: string) => Boolean(await folder.open(file, signal));
  if (await has("tokenizer.json"))
    return readTokenizer(
      `${folder.name}/tokenizer.json`,
      await readText(folder, "tokenizer.json", signal),
      await padToken(folder, signal),
    );
  if (await has("vocab.json"))
    return readClipVocabulary(
      folder.name,
      await readText(folder, "vocab.json", signal),
      await readText(folder, "merges.txt", signal),
      await padToken(folder, signal),
    );
  const model = await folder.open("spiece.model", signal);
  if (model) return readSentencePiece(model.name, await model.read(0, model.size, signal));
  throw new ReimagenError(
    "checkpoint",
    `${folder.name} has no tokenizer: neither tokenizer.json, nor vocab.json with merges.txt, nor spiece.model`,
  );
}

async function padToken(folder: Folder, signal?: AbortSignal): Promise<string | undefined> {
  for (const file of ["tokenizer_config.json", "special_tokens_map.json"]) {
    if (!(await folder.open(file, signal))) continue;
    const { pad_token: token } = parseJson(`${folder.name}/${file}`, await readText(folder, file, signal));
    const content = isObject(token) ? token.content : token;
    if (typeof content === "string") return content;
  }
  return undefined;
}
