// onnxruntime-node as the benches use it: a model in a session, on the adapter that we run on.
import { access, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { useSoftwareAdapter } from "../../src/node/software-adapter.ts";
import type { BenchAdapter } from "../command.ts";

/** Values on the CPU. */
export interface PeerTensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Inputs by name, as the model lays them out. */
export type Feeds = Readonly<Record<string, PeerTensor>>;

/** A model with one output, ready to run. */
export interface PeerModel {
  readonly version: string;
  /** The result on the CPU. */
  run(feeds: Feeds): Promise<Float32Array>;
  close(): Promise<void>;
}

/** How the package computes. */
export type Provider = "cpu" | "webgpu";

/** The part of onnxruntime-node's interface that is used here; the package lives apart, so its types do not. */
interface OnnxRuntime {
  readonly InferenceSession: { create(model: string | Uint8Array, options: object): Promise<Session> };
  readonly Tensor: new (
    type: "float32",
    data: Float32Array,
    shape: readonly number[],
  ) => { readonly data: Float32Array };
  readonly env: { readonly versions: { readonly node?: string } };
}

interface Session {
  readonly outputNames: readonly string[];
  run(feeds: Record<string, unknown>): Promise<Record<string, { readonly data: Float32Array }>>;
  release(): Promise<void>;
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

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const packageFolder = file("./node_modules/onnxruntime-node");
const factsFile = file("./.cache/step.json");
const modelFile = file("./.cache/step.onnx");

/** Whether the package and the exported step are here. */
export async function peersInstalled(): Promise<boolean> {
  const found = await Promise.allSettled([packageFolder, modelFile, factsFile].map((path) => access(path)));
  return found.every(({ status }) => status === "fulfilled");
}

/** Facts of the exported step. */
export async function peerFacts(): Promise<PeerFacts> {
  return JSON.parse(await readFile(factsFile, "utf8"));
}

/** The exported step in a session. */
export function openStep(provider: Provider, adapter: BenchAdapter): Promise<PeerModel> {
  return openModel(modelFile, provider, adapter);
}

/** A model (a file, or its bytes) in a session. With WebGPU, no node may fall back to the CPU. */
export async function openModel(
  model: string | Uint8Array,
  provider: Provider,
  adapter: BenchAdapter,
): Promise<PeerModel> {
  if (provider === "webgpu" && adapter === "software") await useSoftwareAdapter();
  const { InferenceSession, Tensor, env } = createRequire(import.meta.url)("onnxruntime-node") as OnnxRuntime;
  const session = await InferenceSession.create(model, {
    executionProviders: [provider],
    ...(provider === "webgpu" && { extra: { session: { disable_cpu_ep_fallback: "1" } } }),
  });
  const output = session.outputNames[0]!;
  return {
    version: env.versions.node ?? "unknown",
    async run(feeds) {
      const tensors = Object.entries(feeds).map(([name, { data, shape }]) => [
        name,
        new Tensor("float32", data, shape),
      ]);
      return (await session.run(Object.fromEntries(tensors)))[output]!.data;
    },
    close: () => session.release(),
  };
}
