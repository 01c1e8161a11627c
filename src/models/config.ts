// The architecture of a checkpoint, as its `config.json` gives it.
import { ReimagenError } from "../errors.ts";

/** `config.json` of a Re-Imagen checkpoint. Lists have one entry a level, finest first. */
export interface ModelConfig {
  readonly architecture: "reimagen";
  readonly prediction: "epsilon" | "x0" | "v";
  readonly schedule: "cosine" | "linear" | "scaled_linear";
  /** Side of the picture, pixels. */
  readonly size: number;
  /** Pixel-unshuffle factor of the stem. */
  readonly patch: number;
  readonly channels: readonly number[];
  /** Residual blocks a level; the same going up. */
  readonly blocks: readonly number[];
  /** Levels of the down-stack whose blocks attend to the text. */
  readonly down_attention: readonly boolean[];
  /** Levels of the up-stack whose blocks attend to the text and the neighbours' features of that level. */
  readonly up_attention: readonly boolean[];
  /** Levels at which attention also sees the feature map itself. */
  readonly self_attention: readonly boolean[];
  readonly head_dim: number;
  readonly norm_groups: number;
  readonly text_dim: number;
  readonly text_layers: number;
  readonly text_heads: number;
  readonly text_ff: number;
  /** Most tokens of a text, the end token included. */
  readonly text_len: number;
  readonly vocab: number;
  readonly time_dim: number;
  /** 3 for a super-resolution stage: the upsampled low-resolution picture. */
  readonly cond_channels: number;
  /** Of a super-resolution stage: how many times larger than the low-resolution picture it draws. 4 when absent. */
  readonly low_factor: number;
  /**
   * Of a super-resolution stage that predicts v: by how much (standard deviation, values in [-1, 1]) a picture differs from its low-resolution one,
   * upsampled. Given, the network's output is that difference alone, scaled to one (`aroundLow`). 0 when absent: it predicts all.
   */
  readonly residual_std: number;
  /** Denoising steps that suit it. When absent as in `defaultSettings`, or for a super-resolution stage in `upscalingSettings`. */
  readonly steps?: number;
  /** Whether it sees neighbours. True when absent. */
  readonly neighbors: boolean;
  /**
   * Whether attention that sees neighbours knows where: positions are added to its queries, and to the neighbours' keys and values. Not for
   * super-resolution, which draws any size. False when absent.
   */
  readonly attention_pos: boolean;
}

const numbers = [
  "size",
  "patch",
  "head_dim",
  "norm_groups",
  "text_dim",
  "text_layers",
  "text_heads",
  "text_ff",
  "text_len",
  "vocab",
  "time_dim",
] as const;
const optional = { cond_channels: 0, low_factor: 4, residual_std: 0, neighbors: true, attention_pos: false };
const perLevel = ["channels", "blocks", "down_attention", "up_attention", "self_attention"] as const;

/** Reads and checks a config. Throws `config`, naming the key. */
export function readConfig(name: string, text: string): ModelConfig {
  const fail = (message: string): never => {
    throw new ReimagenError("config", `${name}: ${message}`);
  };
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ReimagenError("config", `${name} is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof json !== "object" || json === null || json.architecture !== "reimagen")
    fail(`architecture must be "reimagen", got ${JSON.stringify(json?.architecture)}`);
  const known = new Set<string>([
    "architecture",
    "prediction",
    "schedule",
    "steps",
    ...Object.keys(optional),
    ...numbers,
    ...perLevel,
  ]);
  for (const key of Object.keys(json)) if (!known.has(key)) fail(`unknown key ${key}`);
  for (const key of numbers)
    if (!positive(json[key])) fail(`${key} must be a positive integer, got ${JSON.stringify(json[key])}`);
  const levels = Array.isArray(json.channels) ? json.channels.length : 0;
  if (levels < 1) fail(`channels must be a list of at least one level, got ${JSON.stringify(json.channels)}`);
  for (const key of perLevel) {
    const list = json[key];
    const fits = key.endsWith("attention") ? (v: unknown) => typeof v === "boolean" : positive;
    if (!Array.isArray(list) || list.length !== levels || !list.every(fits))
      fail(
        `${key} must have ${levels} ${key.endsWith("attention") ? "booleans" : "positive integers"}, got ${JSON.stringify(list)}`,
      );
  }
  if (!["epsilon", "x0", "v"].includes(json.prediction as string))
    fail(`prediction must be epsilon, x0 or v, got ${JSON.stringify(json.prediction)}`);
  if (!["cosine", "linear", "scaled_linear"].includes(json.schedule as string))
    fail(`schedule must be cosine, linear or scaled_linear, got ${JSON.stringify(json.schedule)}`);
  const config = { ...optional, ...json } as unknown as ModelConfig;
  if (config.cond_channels !== 0 && config.cond_channels !== 3)
    fail(`cond_channels must be 0 or 3, got ${JSON.stringify(json.cond_channels)}`);
  for (const key of ["low_factor", "steps"] as const)
    if (!positive(config[key] ?? 1)) fail(`${key} must be a positive integer, got ${JSON.stringify(json[key])}`);
  if (!(Number.isFinite(config.residual_std) && config.residual_std >= 0))
    fail(`residual_std must be a number from 0 up, got ${JSON.stringify(json.residual_std)}`);
  if (config.residual_std && !(config.cond_channels && config.prediction === "v"))
    fail("residual_std needs cond_channels 3 and prediction v");
  if (typeof config.neighbors !== "boolean")
    fail(`neighbors must be true or false, got ${JSON.stringify(json.neighbors)}`);
  if (typeof config.attention_pos !== "boolean")
    fail(`attention_pos must be true or false, got ${JSON.stringify(json.attention_pos)}`);
  if (config.attention_pos && (config.cond_channels || !config.neighbors))
    fail("attention_pos needs cond_channels 0 and neighbors true");
  checkArithmetic(config, fail);
  return config;
}

/** Side of the feature map of a level; `side`: of the picture, the model's own unless given. */
export function levelSide(config: ModelConfig, level: number, side = config.size): number {
  return (side / config.patch) >> level;
}

/** What the sides of a picture must be multiples of. */
export function sizeUnit({ patch, channels }: Pick<ModelConfig, "patch" | "channels">): number {
  return patch * 2 ** (channels.length - 1);
}

const positive = (value: unknown) => Number.isInteger(value) && (value as number) > 0;

function checkArithmetic(config: ModelConfig, fail: (message: string) => never): void {
  const { size, channels, head_dim, norm_groups, text_dim, text_heads } = config;
  const unit = sizeUnit(config);
  if (size % unit) fail(`size ${size} must be a multiple of patch x 2^(levels - 1) = ${unit}`);
  if (config.cond_channels && size % config.low_factor)
    fail(`size ${size} must be a multiple of low_factor ${config.low_factor}`);
  if (text_dim % text_heads) fail(`text_dim ${text_dim} must be a multiple of text_heads ${text_heads}`);
  if (head_dim > 128) fail(`head_dim must be at most 128, got ${head_dim}`);
  channels.forEach((width, level) => {
    if (width % norm_groups)
      fail(`channels of level ${level}, ${width}, must be a multiple of norm_groups ${norm_groups}`);
    const attends = config.down_attention[level] || config.up_attention[level] || level === channels.length - 1;
    if (attends && width % head_dim)
      fail(`channels of level ${level}, ${width}, must be a multiple of head_dim ${head_dim}`);
  });
}
