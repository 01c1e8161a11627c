// Whether a plan fits a device, told before anything is loaded.
import { ReimagenError } from "../errors.ts";
import { showShape } from "../ops/op.ts";
import type { Plan } from "./compile.ts";
import { runs, type Value } from "./graph.ts";
import { bytesOfType } from "./plan.ts";

/** Throws `limit`, naming the limit, what needs it, how much is needed and how much there is. */
export function checkLimits(limits: GPUSupportedLimits, plan: Plan): void {
  const need = (
    limit: "maxBufferSize" | "maxStorageBufferBindingSize" | "maxStorageBuffersPerShaderStage",
    what: string,
    needed: number,
  ) => {
    if (needed > limits[limit])
      throw new ReimagenError(
        "limit",
        `${what} needs ${limit} of at least ${needed}, but the device has ${limits[limit]}`,
      );
  };
  for (const run of runs)
    for (const { node, choice } of plan.schedule[run]) {
      need("maxStorageBuffersPerShaderStage", `kernel ${choice.variant}`, choice.launch.kernel.bindings.length);
      for (const value of [...node.inputs, node.output]) {
        if (!value) continue;
        need("maxStorageBufferBindingSize", nameOf(value, node.label), bytesOfType(value.type));
        need("maxBufferSize", nameOf(value, node.label), bytesOfType(value.type));
      }
    }
  for (const bytes of plan.memory.arenas) need("maxBufferSize", "the intermediate memory of the model", bytes);
}

function nameOf({ source, type }: Value, label: string): string {
  if (source.kind === "weight") return `weight ${source.weight.names.join(" + ")} ${showShape(type.shape)}`;
  return `a tensor ${showShape(type.shape)} of ${source.kind === "input" ? source.name : label}`;
}
