// The architecture of a retriever's checkpoint, as its `config.json` gives it.
import { readPublicConfig } from "./public_config.ts";

/** `config.json` of a retriever: a text tower and an image tower with vectors in one space. Lists have one entry a level, finest first. */
export interface RetrieverConfig {
  /** The weights' digest: embeddings belong to the retriever that made them. */
  readonly id: string;
  /** Side of the picture, pixels. */
  readonly size: number;
  /** Pixel-unshuffle factor of the stem. */
  readonly patch: number;
  readonly channels: readonly number[];
  /** Residual blocks a level. */
  readonly blocks: readonly number[];
  readonly norm_groups: number;
  readonly text_dim: number;
  readonly text_layers: number;
  readonly text_heads: number;
  readonly text_ff: number;
  /** Most tokens of a text, the end token included. */
  readonly text_len: number;
  readonly vocab: number;
  /** Numbers of a vector. */
  readonly dim: number;
}

/** Reads and checks a config. Throws `config`, naming the key. */
export function readRetrieverConfig(name: string, text: string): RetrieverConfig {
  const keys = readPublicConfig(name, text);
  keys.choice("architecture", ["retriever"]);
  const id = keys.text("id");
  const channels = keys.widths("channels");
  const levels = channels.length;
  const config = {
    id,
    size: keys.integer("size"),
    patch: keys.integer("patch"),
    channels,
    blocks: keys.integers("blocks", levels),
    norm_groups: keys.integer("norm_groups"),
    text_dim: keys.integer("text_dim"),
    text_layers: keys.integer("text_layers"),
    text_heads: keys.integer("text_heads"),
    text_ff: keys.integer("text_ff"),
    text_len: keys.integer("text_len"),
    vocab: keys.integer("vocab"),
    dim: keys.integer("dim"),
  };
  const unit = config.patch * 2 ** levels;
  if (config.size % unit) throw keys.unsupported("size", `it is not a multiple of patch x 2^levels = ${unit}`);
  if (config.text_dim % config.text_heads) throw keys.unsupported("text_heads", "text_dim is not a multiple of it");
  if (channels.some((width) => width % config.norm_groups))
    throw keys.unsupported("norm_groups", "channels are not multiples of it");
  keys.finish();
  return config;
}
