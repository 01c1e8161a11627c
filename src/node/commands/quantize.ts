// `reimagen quantize DIR OUT`: a folder of models with its matrices and kernels in 8 bits, and what that changes.
import { showBytes } from "../../diffusion/pipeline/memory.ts";
import { quantizeFolder } from "../quantize.ts";
import { table } from "./table.ts";
import { jsonResult, note, openProgress, result } from "./terminal.ts";

/** Writes the folder, and prints each tensor's error and the sizes. Throws ReimagenError, and leaves nothing behind then. */
export async function quantize(path: string, out: string, json: boolean, signal: AbortSignal): Promise<void> {
  const progress = await openProgress();
  const { tensors, before, after } = await quantizeFolder(path, out, {
    signal,
    onProgress: (read, total) => progress.show("quantizing", read, total),
  }).finally(progress.stop);
  const errors = tensors.map(({ error }) => error);
  const worst = Math.max(0, ...errors);
  if (json) return jsonResult({ folder: out, before, after, worst, tensors });
  const rows = tensors.map(({ name, shape, error }) => [name, shape.join("x"), error.toExponential(2)]);
  result(table(["tensor", "shape", "relative L2 error"], rows));
  result(`\n${tensors.length} tensors in 8 bits, the worst with an error of ${worst.toExponential(2)}`);
  result(`${showBytes(before)} to ${showBytes(after)}: ${out}`);
  note(`Draw with it: reimagen generate --model ${out} "a red fox"`);
}
