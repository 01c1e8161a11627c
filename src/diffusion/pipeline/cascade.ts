// A first stage and upscalers behind it.
import type { Pipeline, PipelineGenerateOptions, PipelineResult } from "./pipeline.ts";
import type { PipelineRequest } from "./request.ts";

/**
 * Draws with a first stage, and enlarges with one upscaler after the other; size and neighbours are the first stage's. What one of them cannot do is
 * refused before the first one is loaded. Throws what `generate` throws.
 */
export async function generateCascade(
  [first, ...upscalers]: readonly [Pipeline, ...Pipeline[]],
  request: PipelineRequest,
  { onPlan, ...options }: PipelineGenerateOptions = {},
): Promise<PipelineResult> {
  const { size, low: _, neighbors, neighborLevels, ...others } = request;
  const { guidance } = request;
  // Upscalers see the neighbours in the smaller picture.
  const shared =
    guidance?.mode === "neighbor-only" ? { ...others, guidance: { ...guidance, mode: "none" as const } } : others;
  let planned = first.plan(request);
  onPlan?.(first.definition.name, planned.parts);
  for (const upscaler of upscalers) {
    const { pictures, width, height } = planned;
    const blank = new Float32Array(pictures * width * height * 3);
    planned = upscaler.plan({ ...shared, low: { width, height, values: blank } });
    onPlan?.(upscaler.definition.name, planned.parts);
  }
  let result = await first.generate(request, options);
  const warnings = new Set(result.warnings);
  for (const upscaler of upscalers) {
    result = await upscaler.generate({ ...shared, low: result.values }, options);
    for (const warning of result.warnings) warnings.add(warning);
  }
  return { ...result, warnings: [...warnings] };
}
