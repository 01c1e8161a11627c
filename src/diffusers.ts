// `reimagen/diffusers`: pipelines of public models (Stable Diffusion, DeepFloyd IF) from the folders that diffusers saves.
export type { GuidanceMode, GuidanceSettings } from "./diffusion/guidance.ts";
export { MAX_NEIGHBORS, type NeighborImage, type NeighborPicture } from "./diffusion/neighbors.ts";
export { generateCascade } from "./diffusion/pipeline/cascade.ts";
export { type PipelineDefinition, readPipeline } from "./diffusion/pipeline/definition.ts";
export { type InspectedPart, type InspectedPipeline, inspectPipeline } from "./diffusion/pipeline/inspect.ts";
export type { Bytes, Needs, PlannedPart } from "./diffusion/pipeline/memory.ts";
export type { PipelineClass } from "./diffusion/pipeline/model-index.ts";
export {
  openPipeline,
  type Pipeline,
  type PipelineGenerateOptions,
  type PipelineOptions,
  type PipelineResult,
} from "./diffusion/pipeline/pipeline.ts";
export { type LowPictures, lowPictures, type PipelineRequest } from "./diffusion/pipeline/request.ts";
export { type Folder, filesFolder, subfolder } from "./io/folder.ts";
export { fetchFolder } from "./web/folder.ts";
