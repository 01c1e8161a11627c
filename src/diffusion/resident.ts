// Weights on a device, and the executors that run plans on them: borrowed, kept for the next of their kind, and made anew after a device's loss.
import type { Gpu } from "../gpu/gpu.ts";
import { compileGraph, type Plan } from "../graph/compile.ts";
import {
  compileAhead,
  createExecutor,
  type Executor,
  type ExecutorOptions,
  type WeightBuffers,
} from "../graph/executor.ts";
import type { Graph } from "../graph/graph.ts";
import { checkLimits } from "../graph/limits.ts";
import type { Tuning } from "../graph/tuning.ts";
import type { LoadOptions } from "../models/weights.ts";
import { loadKernelsFor } from "../ops/lazy_kernels.ts";

/** What can be made resident; a graph's kind is its `Shape`, plain data. */
export interface Loadable<Shape> {
  /** Brings the weights to the device; called again when that was lost. Leaves nothing there when it throws. */
  load(options: LoadOptions): Promise<WeightBuffers>;
  graph(shape: Shape): Graph;
  /** What requests are usually like, where that can be told: the kernels for it are compiled while the weights are read. */
  readonly usual?: Shape;
}

/** Options of `makeResident`. */
export interface ResidentOptions extends LoadOptions {
  /** What was measured on this adapter: kernels are chosen by it. */
  readonly tuning?: Tuning | undefined;
}

/** Executors kept for requests of the same kind; each holds its own activations. */
const KEPT_EXECUTORS = 4;

/** Loads weights onto a device of ours or of an app's. Throws what `load` throws, and `device-lost`. */
export async function makeResident<Shape>(
  gpu: Gpu,
  loadable: Loadable<Shape>,
  { tuning = new Map(), ...options }: ResidentOptions = {},
): Promise<Resident<Shape>> {
  await gpu.renew();
  await loadKernelsFor(gpu.traits);
  const { usual } = loadable;
  let planned: Planned | undefined;
  const onBegin = () => {
    if (!usual) return;
    planned = plannedFor(gpu, loadable, usual, tuning);
    compileAhead(gpu, planned.plan);
    checkLimits(gpu.traits.limits, planned.plan);
  };
  const weights = await loadable.load({ ...options, onBegin });
  if (gpu.loss) throw gpu.loss;
  return new Resident(gpu, loadable, weights, tuning, planned);
}

/** A plan, and what kind of request it is for. */
interface Planned {
  readonly kind: string;
  readonly plan: Plan;
}

function plannedFor<Shape>(gpu: Gpu, loadable: Loadable<Shape>, shape: Shape, tuning: Tuning): Planned {
  return { kind: JSON.stringify(shape), plan: compileGraph(loadable.graph(shape), gpu.traits, tuning) };
}

/** Weights on a device. */
export class Resident<Shape> {
  readonly #gpu: Gpu;
  readonly #loadable: Loadable<Shape>;
  #weights: WeightBuffers;
  #tuning: Tuning;
  /** The plan made last: most requests are of one kind. */
  #planned: Planned | undefined;
  /** Where the weights are. */
  #device: GPUDevice;
  /** Executors that nobody uses, most recently used last. */
  #idle: { readonly kind: string; readonly executor: Executor }[] = [];
  readonly #kinds = new Map<Executor, string>();
  #restoring: Promise<void> | undefined;
  #disposed = false;

  /** For `makeResident`. */
  constructor(
    gpu: Gpu,
    loadable: Loadable<Shape>,
    weights: WeightBuffers,
    tuning: Tuning,
    planned: Planned | undefined,
  ) {
    this.#gpu = gpu;
    this.#loadable = loadable;
    this.#weights = weights;
    this.#tuning = tuning;
    this.#planned = planned;
    this.#device = gpu.device;
  }

  /** What was measured on this adapter: henceforth kernels are chosen by it. */
  get tuning(): Tuning {
    return this.#tuning;
  }

  set tuning(tuning: Tuning) {
    this.#tuning = tuning;
    this.#planned = undefined;
    // Executors of before keep the kernels that they have.
    for (const { executor } of this.#idle.splice(0)) executor.dispose();
    this.#kinds.clear();
  }

  /** The plan of a kind. Throws `kernel`. */
  plan(shape: Shape): Plan {
    if (this.#planned?.kind !== JSON.stringify(shape))
      this.#planned = plannedFor(this.#gpu, this.#loadable, shape, this.#tuning);
    return this.#planned!.plan;
  }

  /** An executor for the caller alone, on a device that lives. Throws `limit`, `kernel`, `aborted`; `device-lost` when that is not ours to replace. */
  async borrow(shape: Shape, options: ExecutorOptions = {}): Promise<Executor> {
    await this.#restore();
    const kind = JSON.stringify(shape);
    const at = this.#idle.findLastIndex((idle) => idle.kind === kind);
    if (at >= 0) return this.#idle.splice(at, 1)[0]!.executor;
    const plan = this.plan(shape);
    checkLimits(this.#gpu.traits.limits, plan);
    const executor = await createExecutor(this.#gpu, plan, this.#weights, options);
    this.#kinds.set(executor, kind);
    return executor;
  }

  /** Takes an executor back, to be lent again. */
  giveBack(executor: Executor): void {
    const kind = this.#kinds.get(executor);
    if (this.#disposed || kind === undefined) executor.dispose();
    else this.#idle.push({ kind, executor });
    while (this.#idle.length > KEPT_EXECUTORS) {
      const { executor: oldest } = this.#idle.shift()!;
      this.#kinds.delete(oldest);
      oldest.dispose();
    }
  }

  /** Frees the weights and all executors that nobody uses at once, the others when they come back. */
  dispose(): void {
    this.#disposed = true;
    for (const { executor } of this.#idle.splice(0)) executor.dispose();
    for (const buffer of this.#weights.values()) this.#gpu.release(buffer);
  }

  /** Sees to it that the weights are on a device that lives. */
  #restore(): Promise<void> {
    this.#restoring ??= this.#renew().finally(() => {
      this.#restoring = undefined;
    });
    return this.#restoring;
  }

  async #renew(): Promise<void> {
    const gpu = this.#gpu;
    if (!gpu.loss && gpu.device === this.#device) return;
    // What was on the lost device is gone; executors in use are found not to be ours when they come back.
    this.#idle = [];
    this.#planned = undefined;
    this.#kinds.clear();
    await gpu.renew();
    this.#weights = await this.#loadable.load({});
    this.#device = gpu.device;
    if (this.#disposed) for (const buffer of this.#weights.values()) gpu.release(buffer);
  }
}
