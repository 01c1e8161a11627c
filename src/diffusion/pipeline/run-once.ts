// A graph without steps, such as a text encoder's: run once, and its outputs read.
import { ReimagenError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Executor, ExecutorOptions, TensorData } from "../../graph/executor.ts";
import type { Resident } from "../resident.ts";

/** How often a new device is tried for one and the same run. */
const mostAttempts = 3;

/** Writes the inputs, runs, and reads the outputs; on a new device of ours where the present one is lost. Throws what borrowing throws. */
export async function runOnce<Shape>(
  gpu: Gpu,
  resident: Resident<Shape>,
  shape: Shape,
  inputs: ReadonlyMap<string, TensorData>,
  outputs: readonly string[],
  options: ExecutorOptions = {},
): Promise<TensorData[]> {
  for (let attempt = 1; ; attempt++) {
    let executor: Executor | undefined;
    try {
      executor = await resident.borrow(shape, options);
      for (const [name, data] of inputs) executor.write(name, data);
      executor.run("request");
      const values = [];
      for (const name of outputs) values.push(await executor.read(name));
      return values;
    } catch (error) {
      const lost = error instanceof ReimagenError && error.code === "device-lost";
      if (!lost || !gpu.renewable || attempt === mostAttempts) throw error;
    } finally {
      if (executor) resident.giveBack(executor);
    }
  }
}
