// onnxruntime-node's side of the peers' tasks, in a process of its own.
import type { BenchAdapter } from "../command.ts";
import { loadedDrivers } from "../machine.ts";
import { serve } from "../worker.ts";
import { onnxTask } from "./onnx.ts";
import { openModel, type PeerModel, type Provider } from "./onnxruntime.ts";
import type { Task } from "./tasks.ts";

const [adapter, provider] = process.argv.slice(2) as [BenchAdapter, Provider];
let model: PeerModel;
let feeds: { x: { data: Float32Array; shape: readonly number[] } };

/** Opens a task and runs it once. */
async function open(task: Task): Promise<{ y: Float32Array; drivers: string[] }> {
  const { model: bytes, x, shape, common } = onnxTask(task);
  await model?.close();
  model = await openModel(bytes, provider, adapter);
  feeds = { x: { data: x, shape } };
  const y = common(await model.run(feeds));
  return { y: y.slice(), drivers: await loadedDrivers() };
}

/** Milliseconds from x on the CPU to y on the CPU. */
async function run(): Promise<number> {
  const start = performance.now();
  await model.run(feeds);
  return performance.now() - start;
}

/** What the parent may call. */
const methods = { open, run };
export type OpsMethods = typeof methods;
serve(methods);
