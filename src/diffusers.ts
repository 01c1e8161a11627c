// `reimagen/diffusers`: pipelines of public models (Stable Diffusion, DeepFloyd IF) from the folders that diffusers saves.
export { type PipelineDefinition, readPipeline } from "./diffusion/pipeline/definition.ts";
export { type InspectedPart, type InspectedPipeline, inspectPipeline } from "./diffusion/pipeline/inspect.ts";
export type { Bytes, Needs, PlannedPart } from "./diffusion/pipeline/memory.ts";
export type { PipelineClass } from "./diffusion/pipeline/model-index.ts";
export {
  generateCascade,
  openPipeline,
  type Pipeline,
  type PipelineGenerateOptions,
  type PipelineOptions,
  type PipelineResult,
} from "./diffusion/pipeline/pipeline.ts";
export { type LowPictures, lowPictures, type PipelineRequest } from "./diffusion/pipeline/request.ts";
export { type Folder, filesFolder, subfolder, urlFolder } from "./io/folder.ts";
