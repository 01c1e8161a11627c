// The scheduler_config.json of a diffusers pipeline, as our noise schedule and sampler.
import { ReimagenError } from "../errors.ts";
import { type PublicConfig, readPublicConfig } from "../models/public_config.ts";
import { ddpmVariances } from "./ddpm.ts";
import type { Sampler, SamplerOptions } from "./samplers.ts";
import { type DiscreteSchedule, discreteSchedule } from "./schedule.ts";
import type { Prediction } from "./step.ts";
import type { Thresholding } from "./thresholding.ts";

/** How a pipeline's checkpoint wants to be sampled; the number of steps is the caller's. */
export interface SchedulerConfig {
  readonly schedule: DiscreteSchedule;
  readonly prediction: Prediction;
  readonly sampler: Omit<SamplerOptions, "steps">;
  readonly thresholding: Thresholding;
}

/**
 * Reads a scheduler config. `instead`: the sampler to use whatever the file names; the noise schedule, the prediction and what the sampler's own class reads
 * are still the file's. Every step leads to the next timestep of the list, also where diffusers' DDIM goes a fixed stride. Errors: config, naming the class, key
 * or value that is not supported.
 */
export function readScheduler(name: string, text: string, instead?: Sampler): SchedulerConfig {
  const keys = readPublicConfig(name, text.replace(negativeInfinity, "$1null"));
  const named = keys.choice("_class_name", [...Object.keys(readers), ...others]);
  const read = readers[instead ? classes[instead] : named];
  if (!read) {
    const offer = Object.keys(classes).join(", ");
    throw keys.unsupported("_class_name", `choose another sampler for its noise schedule: ${offer}`);
  }
  const config = {
    schedule: readSchedule(name, keys),
    prediction: predictions[keys.choice("prediction_type", ["epsilon", "sample", "v_prediction"], "epsilon")],
    ...read(keys),
  };
  keys.ignore("_diffusers_version", ...ofSomeClass);
  keys.finish();
  return config;
}

/** Whether we have the sampler that a scheduler config names; if not, `readScheduler` wants another `instead`. Throws `config` for an unknown class. */
export function isSupportedScheduler(name: string, text: string): boolean {
  const keys = readPublicConfig(name, text.replace(negativeInfinity, "$1null"));
  return keys.choice("_class_name", [...Object.keys(readers), ...others]) in readers;
}

// Python writes an infinity that JSON has not.
const negativeInfinity = /("lambda_min_clipped"\s*:\s*)-Infinity\b/;

const predictions = { epsilon: "epsilon", sample: "x0", v_prediction: "v" } as const;

const classes: Record<Sampler, string> = {
  "dpm-solver++": "DPMSolverMultistepScheduler",
  ddim: "DDIMScheduler",
  ddpm: "DDPMScheduler",
  pndm: "PNDMScheduler",
};

// They walk noise schedules of the same kind by samplers of their own.
const others = [
  "LMSDiscreteScheduler",
  "HeunDiscreteScheduler",
  "UniPCMultistepScheduler",
  "DEISMultistepScheduler",
  "DPMSolverSinglestepScheduler",
  "DPMSolverSDEScheduler",
  "KDPM2DiscreteScheduler",
  "KDPM2AncestralDiscreteScheduler",
];

type Sampling = Pick<SchedulerConfig, "sampler" | "thresholding">;

const readers: Record<string, (keys: PublicConfig) => Sampling> = {
  DDPMScheduler: (keys) => ({
    sampler: {
      sampler: "ddpm",
      variance: keys.choice("variance_type", ddpmVariances, "fixed_small"),
      ...spacingOf(keys, "leading"),
    },
    thresholding: thresholdingOf(keys, keys.boolean("clip_sample", true)),
  }),
  DDIMScheduler: (keys) => ({
    sampler: {
      sampler: "ddim",
      etaDdim: 0,
      useClippedModelOutput: false,
      setAlphaToOne: keys.boolean("set_alpha_to_one", true),
      ...spacingOf(keys, "leading"),
    },
    thresholding: thresholdingOf(keys, keys.boolean("clip_sample", true)),
  }),
  DPMSolverMultistepScheduler(keys) {
    keys.only(["dpmsolver++"], "algorithm_type");
    keys.only(["midpoint"], "solver_type");
    keys.only([2], "solver_order");
    keys.only(["zero"], "final_sigmas_type");
    keys.only([false], "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas");
    keys.only([false], "use_flow_sigmas", "use_dynamic_shifting");
    // A model that predicts the variance too is asked for the rest; the last step is of first order in any case.
    keys.only(["learned", "learned_range"], "variance_type");
    keys.ignore("lower_order_final", "euler_at_final", "flow_shift", "time_shift_type");
    const lambdaMinClipped = keys.number("lambda_min_clipped", Number.NEGATIVE_INFINITY);
    const spacing = spacingOf(keys, "linspace");
    if (Number.isFinite(lambdaMinClipped) && spacing.spacing === "trailing")
      throw keys.unsupported("lambda_min_clipped", "not together with trailing timesteps");
    return {
      sampler: { sampler: "dpm-solver++", ...spacing, lambdaMinClipped },
      thresholding: thresholdingOf(keys, false),
    };
  },
  PNDMScheduler(keys) {
    if (!keys.boolean("skip_prk_steps", false))
      throw keys.unsupported("skip_prk_steps", "Runge-Kutta steps at the start are not, it must be true");
    const sampler = { sampler: "pndm", setAlphaToOne: keys.boolean("set_alpha_to_one", false) } as const;
    return { sampler: { ...sampler, ...spacingOf(keys, "leading") }, thresholding: { kind: "none" } };
  },
  EulerDiscreteScheduler: (keys) => eulerOf(keys, 0),
  EulerAncestralDiscreteScheduler: (keys) => eulerOf(keys, 1),
};

/** Euler steps along sigma / alpha, with x scaled by 1 / alpha, are DDIM's; ancestral ones are those with all of the noise. */
function eulerOf(keys: PublicConfig, etaDdim: 0 | 1): Sampling {
  keys.only(["linear"], "interpolation_type");
  keys.only([false], "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas");
  keys.only([], "sigma_min", "sigma_max");
  keys.only(["discrete"], "timestep_type");
  keys.only(["zero"], "final_sigmas_type");
  const spacing = spacingOf(keys, "linspace");
  if (spacing.spacing !== "leading")
    throw keys.unsupported(
      "timestep_spacing",
      "Euler steps are possible from leading timesteps only, where x starts as plain noise",
    );
  return {
    sampler: { sampler: "ddim", etaDdim, useClippedModelOutput: false, setAlphaToOne: true, ...spacing },
    thresholding: { kind: "none" },
  };
}

function spacingOf(keys: PublicConfig, otherwise: "leading" | "linspace") {
  const spacing = keys.choice("timestep_spacing", ["leading", "trailing", "linspace"], otherwise);
  const stepsOffset = keys.number("steps_offset", 0);
  if (!Number.isInteger(stepsOffset) || stepsOffset < 0)
    throw keys.unsupported("steps_offset", "it must be a whole number of at least 0");
  return { spacing, stepsOffset };
}

function thresholdingOf(keys: PublicConfig, clips: boolean): Thresholding {
  const dynamic = keys.boolean("thresholding", false);
  const quantile = keys.number("dynamic_thresholding_ratio", 0.995);
  const max = keys.number("sample_max_value", 1);
  const range = clips ? keys.number("clip_sample_range", 1) : 1;
  if (dynamic) return { kind: "dynamic", quantile, max };
  return clips ? { kind: "static", range } : { kind: "none" };
}

function readSchedule(name: string, keys: PublicConfig): DiscreteSchedule {
  keys.only([], "trained_betas");
  const options = {
    betaSchedule: keys.choice("beta_schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"], "linear"),
    betaStart: keys.number("beta_start", 0.0001),
    betaEnd: keys.number("beta_end", 0.02),
    trainTimesteps: keys.integer("num_train_timesteps", 1000),
    rescaleBetasZeroSnr: keys.boolean("rescale_betas_zero_snr", false),
  };
  try {
    return discreteSchedule(options);
  } catch (cause) {
    throw new ReimagenError("config", `${name}: ${(cause as Error).message}`, { cause });
  }
}

// Pipelines pass whole configs from one class to another, which reads its own keys and leaves these.
const ofSomeClass = [
  "algorithm_type",
  "clip_sample",
  "clip_sample_range",
  "dynamic_thresholding_ratio",
  "euler_at_final",
  "final_sigmas_type",
  "flow_shift",
  "interpolation_type",
  "lambda_min_clipped",
  "lower_order_final",
  "predict_x0",
  "sample_max_value",
  "set_alpha_to_one",
  "sigma_max",
  "sigma_min",
  "skip_prk_steps",
  "solver_order",
  "solver_type",
  "steps_offset",
  "thresholding",
  "time_shift_type",
  "timestep_spacing",
  "timestep_type",
  "use_beta_sigmas",
  "use_dynamic_shifting",
  "use_exponential_sigmas",
  "use_flow_sigmas",
  "use_karras_sigmas",
  "use_lu_lambdas",
  "variance_type",
];
