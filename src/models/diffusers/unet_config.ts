// The architecture of a `UNet2DConditionModel`, as the config.json of a public checkpoint gives it.
import type { Activation } from "../../ops/activation.ts";
import { type PublicConfig, readPublicConfig } from "../public_config.ts";

/** What the residual blocks of a level have in common. */
export interface ResidualConfig {
  readonly groups: number;
  readonly epsilon: number;
  readonly activation: Activation;
  /** Whether the time scales and shifts the second norm; else it is added before that norm. */
  readonly scaleShift: boolean;
  /** What a block's result is divided by. */
  readonly divisor: number;
}

/** How a level attends: not at all, by transformers, or by one attention to itself ++ the text's added keys and values. */
export type AttentionConfig =
  | { readonly kind: "none" }
  | {
      readonly kind: "transformer";
      readonly heads: number;
      readonly headDim: number;
      /** Transformer blocks one after the other. */
      readonly depth: number;
      /** Both attentions of a block are to the text. */
      readonly onlyText: boolean;
      /** The projections in and out are matrices, not 1x1 convolutions. */
      readonly linearProjections: boolean;
    }
  | {
      readonly kind: "added";
      readonly heads: number;
      readonly headDim: number;
      /** The feature map is not among the keys. */
      readonly onlyText: boolean;
      readonly textNorm: "none" | "group" | "layer";
    };

/** One level of a stack, or the middle. */
export interface LevelConfig {
  readonly channels: number;
  /** Residual blocks, each with an attention behind it where the level attends. */
  readonly blocks: number;
  readonly residual: ResidualConfig;
  readonly attention: AttentionConfig;
  /** What halves or doubles the feature map after the blocks: a residual block or a convolution; nothing at the end of a stack. */
  readonly resample: "none" | "residual" | "convolution";
}

/** A U-Net. */
export interface UnetConfig {
  readonly inputs: number;
  readonly outputs: number;
  /** Side of the picture or latent that it was trained on, where the config tells. */
  readonly side: number | undefined;
  readonly down: readonly LevelConfig[];
  /** Its `blocks` count the attentions: one residual block more stands before them. */
  readonly middle: LevelConfig;
  /** Coarsest first. */
  readonly up: readonly LevelConfig[];
  /** Zeros around the convolution that halves; none stands for one row and column at the end. */
  readonly downPadding: 0 | 1;
  readonly kernelIn: number;
  readonly kernelOut: number;
  readonly time: {
    readonly dim: number;
    readonly order: "cos-sin" | "sin-cos";
    readonly shift: number;
    /** Between its two layers. */
    readonly activation: Activation;
    /** Of the sum of time, class and text, before the residual blocks' projections. */
    readonly sumActivation: Activation;
  };
  /** Second number that the model is told: none, one like the time, or the row of a table. */
  readonly classes:
    | { readonly kind: "none" }
    | { readonly kind: "time" }
    | { readonly kind: "table"; readonly rows: number };
  readonly text: {
    /** Channels of the text encoder's states. */
    readonly inputs: number;
    /** Channels that attention reads. */
    readonly dim: number;
    /** Whether a layer leads from the ones to the others. */
    readonly projected: boolean;
    /** Heads of the attention that pools the states into the embedding; 0 where nothing pools them. */
    readonly poolHeads: number;
  };
}

const activations = { silu: "silu", swish: "silu", gelu: "gelu_erf" } as const;
const down = ["DownBlock2D", "ResnetDownsampleBlock2D", "CrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"] as const;
const up = ["UpBlock2D", "ResnetUpsampleBlock2D", "CrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D"] as const;
const middle = ["UNetMidBlock2DCrossAttn", "UNetMidBlock2DSimpleCrossAttn"] as const;

/** Reads a U-Net's config.json. Throws `config`, naming each key or value that is not supported. */
export function readUnetConfig(name: string, text: string): UnetConfig {
  const keys = readPublicConfig(name, text);
  keys.choice("_class_name", ["UNet2DConditionModel"]);
  keys.ignore("_diffusers_version", "_name_or_path", "dropout");
  // Attention accumulates in f32 whatever the storage.
  keys.boolean("upcast_attention", false);
  keys.only([false], "center_input_sample", "dual_cross_attention", "class_embeddings_concat");
  keys.only(["default"], "attention_type");
  keys.only(["positional"], "time_embedding_type");
  const channels = keys.integers("block_out_channels", levelsOf(keys));
  const widths = { channels, groups: keys.integer("norm_num_groups", 32) };
  const config: UnetConfig = {
    inputs: keys.integer("in_channels", 4),
    outputs: keys.integer("out_channels", 4),
    side: keys.integerIfAny("sample_size"),
    ...readLevels(keys, widths),
    downPadding: readDownPadding(keys),
    kernelIn: readKernel(keys, "conv_in_kernel"),
    kernelOut: readKernel(keys, "conv_out_kernel"),
    time: readTime(keys, channels[0]!),
    classes: readClasses(keys),
    text: readText(keys),
  };
  keys.finish();
  return config;
}

function levelsOf(keys: PublicConfig): number {
  const names = keys.list("down_block_types", down);
  if (keys.list("up_block_types", up).length !== names.length)
    throw keys.unsupported("up_block_types", `there must be as many as of down_block_types, ${names.length}`);
  return names.length;
}

interface Widths {
  readonly channels: readonly number[];
  readonly groups: number;
}

function readLevels(keys: PublicConfig, { channels, groups }: Widths): Pick<UnetConfig, "down" | "middle" | "up"> {
  const count = channels.length;
  const last = count - 1;
  const onlyText = keys.booleans("only_cross_attention", count, false);
  const attentions = attentionReader(keys, channels);
  const common = {
    groups,
    epsilon: keys.number("norm_eps", 1e-5),
    activation: activations[keys.choice("act_fn", ["silu", "swish", "gelu"], "silu")],
    scaleShift: keys.choice("resnet_time_scale_shift", ["default", "scale_shift"], "default") === "scale_shift",
  };
  const divisor = keys.number("resnet_out_scale_factor", 1);
  const middleName = keys.choice("mid_block_type", middle, "UNetMidBlock2DCrossAttn");
  const middleOnlyText = keys.boolean(
    "mid_block_only_cross_attention",
    !keys.isList("only_cross_attention") && onlyText[0]!,
  );
  const blocks = keys.integers("layers_per_block", count, 2);
  const level = (name: string, index: number, more: number, end: number): LevelConfig => {
    const resamples = /^Resnet|^Simple/.test(name);
    return {
      channels: channels[index]!,
      blocks: blocks[index]! + more,
      residual: { ...common, divisor: resamples ? divisor : 1 },
      attention: attentions(name, index, onlyText[index]!),
      resample: index === end ? "none" : resamples ? "residual" : "convolution",
    };
  };
  checkDivisible(keys, channels, groups);
  return {
    down: keys.list("down_block_types", down).map((name, i) => level(name, i, 0, last)),
    middle: {
      channels: channels[last]!,
      blocks: 1,
      residual: { ...common, divisor: keys.number("mid_block_scale_factor", 1) },
      // A transformer in the middle attends to itself whatever the levels do.
      attention: attentions(middleName, last, middleName === "UNetMidBlock2DSimpleCrossAttn" && middleOnlyText),
      resample: "none",
    },
    up: keys.list("up_block_types", up).map((name, i) => level(name, last - i, 1, 0)),
  };
}

function checkDivisible(keys: PublicConfig, channels: readonly number[], groups: number): void {
  if (channels.some((width) => width % groups))
    throw keys.unsupported("block_out_channels", `each must be a multiple of norm_num_groups ${groups}`);
}

/** What attends at a level, by the name of its block. */
function attentionReader(keys: PublicConfig, channels: readonly number[]) {
  keys.only([null], "num_attention_heads", "reverse_transformer_layers_per_block");
  // Under a name that means the size of a head, diffusers keeps the number of heads for all but the "Simple" blocks.
  const sizes = keys.integers("attention_head_dim", channels.length, 8);
  const depths = keys.integers("transformer_layers_per_block", channels.length, 1);
  const linearProjections = keys.boolean("use_linear_projection", false);
  const norm = keys.choice("cross_attention_norm", ["none", "group_norm", "layer_norm"], "none");
  const textNorm = ({ none: "none", group_norm: "group", layer_norm: "layer" } as const)[norm];
  return (name: string, index: number, onlyText: boolean): AttentionConfig => {
    if (!name.includes("CrossAttn")) return { kind: "none" };
    const size = sizes[index]!;
    const other = channels[index]! / size;
    const simple = name.includes("Simple");
    const [heads, headDim] = simple ? [other, size] : [size, other];
    if (!Number.isInteger(other))
      throw keys.unsupported(
        "attention_head_dim",
        `${channels[index]} channels of level ${index} are no multiple of it`,
      );
    if (headDim > 512)
      throw keys.unsupported(
        "attention_head_dim",
        `a head of level ${index} would have ${headDim} channels, more than 512`,
      );
    if (simple) return { kind: "added", heads, headDim, onlyText, textNorm };
    return { kind: "transformer", heads, headDim, depth: depths[index]!, onlyText, linearProjections };
  };
}

function readDownPadding(keys: PublicConfig): 0 | 1 {
  keys.only([0, 1], "downsample_padding");
  return keys.number("downsample_padding", 1) as 0 | 1;
}

function readKernel(keys: PublicConfig, key: string): number {
  const size = keys.integer(key, 3);
  if (size % 2 === 0) throw keys.unsupported(key, "it must be odd");
  return size;
}

function readTime(keys: PublicConfig, width: number): UnetConfig["time"] {
  keys.only([null], "timestep_post_act", "time_cond_proj_dim");
  const activation = activations[keys.choice("act_fn", ["silu", "swish", "gelu"], "silu")];
  const named = keys.choice("time_embedding_act_fn", ["none", "silu", "swish", "gelu"], "none");
  const own = named === "none" ? "none" : activations[named];
  const skips = keys.boolean("resnet_skip_time_act", false);
  if (skips) {
    const names = [...keys.list("down_block_types", down), ...keys.list("up_block_types", up)];
    const other = names.find((name) => !/^Resnet|^Simple/.test(name));
    if (other) throw keys.unsupported("resnet_skip_time_act", `${other} has no such switch`);
    keys.only(["UNetMidBlock2DSimpleCrossAttn"], "mid_block_type");
  } else if (own !== "none")
    throw keys.unsupported("time_embedding_act_fn", "it goes with resnet_skip_time_act true only");
  if (width % 2)
    throw keys.unsupported("block_out_channels", "the first, from which the time's features come, must be even");
  return {
    dim: keys.integer("time_embedding_dim", 4 * width),
    order: keys.boolean("flip_sin_to_cos", true) ? "cos-sin" : "sin-cos",
    shift: keys.number("freq_shift", 0),
    activation,
    sumActivation: skips ? own : activation,
  };
}

function readClasses(keys: PublicConfig): UnetConfig["classes"] {
  keys.only([null], "projection_class_embeddings_input_dim");
  const rows = keys.integerIfAny("num_class_embeds");
  if (keys.choice("class_embed_type", ["none", "timestep"], "none") === "timestep") return { kind: "time" };
  return rows ? { kind: "table", rows } : { kind: "none" };
}

function readText(keys: PublicConfig): UnetConfig["text"] {
  keys.only([null], "addition_time_embed_dim");
  keys.only(["text_proj"], "encoder_hid_dim_type");
  const dim = keys.integer("cross_attention_dim", 1280);
  const hidden = keys.integerIfAny("encoder_hid_dim");
  const pools = keys.choice("addition_embed_type", ["none", "text"], "none") === "text";
  const heads = keys.integer("addition_embed_type_num_heads", 64);
  const inputs = hidden ?? dim;
  if (pools && (inputs % heads || inputs / heads > 512))
    throw keys.unsupported(
      "addition_embed_type_num_heads",
      `${inputs} channels do not make that many heads of 1 to 512`,
    );
  if (keys.choice("cross_attention_norm", ["none", "group_norm", "layer_norm"], "none") === "group_norm" && dim % 32)
    throw keys.unsupported("cross_attention_norm", `cross_attention_dim ${dim} does not make 32 groups`);
  return { inputs, dim, projected: hidden !== undefined, poolHeads: pools ? heads : 0 };
}
