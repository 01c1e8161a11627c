// The public API, for the browser and for Node alike; what needs a file system or Dawn is in `reimagen/node`.
export {
  type CascadeOptions,
  type CascadeRequest,
  type CascadeResult,
  generateCascade,
} from "./diffusion/cascade.ts";
export {
  createEngine,
  type Engine,
  type EngineOptions,
  type GenerateOptions,
  type ModelFiles,
  type StartOptions,
} from "./diffusion/engine.ts";
export type {
  EncodeOptions,
  Generated,
  Generation,
  Progress,
} from "./diffusion/generation.ts";
export type { GuidanceMode, GuidanceSettings } from "./diffusion/guidance.ts";
export { type LowPictures, lowPictures } from "./diffusion/low.ts";
export { MAX_NEIGHBORS, type NeighborImage, type NeighborPicture } from "./diffusion/neighbors.ts";
export type { GenerationRequest } from "./diffusion/request.ts";
export type { Sampler, SamplerOptions } from "./diffusion/samplers.ts";
export {
  defaultSettings,
  type PartialSettings,
  type SamplingSettings,
  upscalingSettings,
} from "./diffusion/settings.ts";
export type { PictureFormat, Shown, TextureCopy, TextureOptions } from "./diffusion/textures.ts";
export type { Thresholding } from "./diffusion/thresholding.ts";
export { type ErrorCode, ReimagenError } from "./errors.ts";
export { adoptGpu, type Gpu, type RequestAdapter, requestGpu, usefulFeatures } from "./gpu/gpu.ts";
export type { DeviceTraits } from "./gpu/traits.ts";
export type { Plan } from "./graph/compile.ts";
export type { BufferRange } from "./graph/executor.ts";
export type { ProfiledDispatch } from "./graph/profile.ts";
export { loadTuning, saveTuning, type Tuned, type Tuning, type TuningStore } from "./graph/tuning.ts";
export { crop, type Picture } from "./io/picture.ts";
export { type ByteSource, blobSource, bytesSource } from "./io/source.ts";
export { openUrlSource } from "./io/url-source.ts";
export type { ModelConfig } from "./models/config.ts";
export {
  createDatabase,
  type Neighbor,
  type NeighborDatabase,
  type NeighborEntry,
  type NeighborSearch,
  type SheetDecoder,
} from "./retrieval/database.ts";
export { type FetchedDatabase, fetchDatabase } from "./web/database.ts";
export { fetchModel } from "./web/model.ts";
export { type FetchOptions, forgetFiles, keptBytes } from "./web/storage.ts";
export { browserTuningStore } from "./web/tuning-store.ts";
