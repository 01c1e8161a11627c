// onnxruntime-node as the benches use it: the exported step in a session, on the adapter that we run on.
import { access, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { useSoftwareAdapter } from "../../src/node/software-adapter.ts";
import type { BenchAdapter } from "../shipped.ts";

/** Inputs by name, as the model file lays them out. */
export type Feeds = Readonly<Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>>;

/** The exported step, ready to run. */
export interface PeerStep {
  readonly version: string;
  /** The result `v` on the CPU, [B, 3, S, S]. */
  run(feeds: Feeds): Promise<Float32Array>;
}

/** The part of onnxruntime-node's interface that is used here; the package lives apart, so its types do not. */
interface OnnxRuntime {
  readonly InferenceSession: { create(path: string, options: object): Promise<Session> };
  readonly Tensor: new (
    type: "float32",
    data: Float32Array,
    shape: readonly number[],
  ) => { readonly data: Float32Array };
  readonly env: { readonly versions: { readonly node?: string } };
}

interface Session {
  run(feeds: Record<string, unknown>): Promise<Record<"v", { readonly data: Float32Array }>>;
}

/** What `onnx_step.py` tells of the step that it exported. */
export interface PeerFacts {
  /** Floating-point operations of a step's matrix products and convolutions, 1e9. */
  readonly gflop: number;
  /** Of these, what makes keys and values of the context. */
  readonly contextGflop: number;
  /** Shapes by name. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
}

const factsFile = new URL("./.cache/step.json", import.meta.url).pathname;
const modelFile = new URL("./.cache/step.onnx", import.meta.url).pathname;

/** Facts of the exported step. Throws, saying what to do, where it or the package in `folder` is missing. */
export async function peerFacts(folder: string): Promise<PeerFacts> {
  for (const part of [join(folder, "node_modules/onnxruntime-node"), modelFile, factsFile])
    await access(part).catch(() => {
      throw new Error(`${part} is missing; run: npm run bench:peers`);
    });
  return JSON.parse(await readFile(factsFile, "utf8"));
}

/** Loads the package from `folder` and the exported step into a session. With WebGPU, no node may fall back to the CPU. */
export async function openPeer(folder: string, provider: "cpu" | "webgpu", adapter: BenchAdapter): Promise<PeerStep> {
  if (provider === "webgpu" && adapter === "software") await useSoftwareAdapter();
  const { InferenceSession, Tensor, env } = createRequire(join(resolve(folder), "package.json"))(
    "onnxruntime-node",
  ) as OnnxRuntime;
  const session = await InferenceSession.create(modelFile, {
    executionProviders: [provider],
    ...(provider === "webgpu" && { extra: { session: { disable_cpu_ep_fallback: "1" } } }),
  });
  return {
    version: env.versions.node ?? "unknown",
    async run(feeds) {
      const tensors = Object.entries(feeds).map(([name, { data, shape }]) => [
        name,
        new Tensor("float32", data, shape),
      ]);
      return (await session.run(Object.fromEntries(tensors))).v.data;
    },
  };
}
