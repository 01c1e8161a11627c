// `reimagen info`: the adapter, what it can do, and for every fast path that is off, why.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Gpu } from "../../gpu/gpu.ts";
import type { AdapterChoice } from "../dawn.ts";
import { packageVersion } from "../shipped.ts";
import { adapterName, withGpu } from "./device.ts";
import { jsonResult, result } from "./terminal.ts";

/** What `info` is told. */
export interface InfoOptions {
  readonly adapter: AdapterChoice;
  readonly json: boolean;
}

/** Something that makes the engine faster where the device has it. */
interface FastPath {
  readonly name: string;
  readonly on: boolean;
  /** What it is when on; why not when off. */
  readonly why: string;
}

const toldLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Prints it. Throws `no-adapter`. */
export async function info({ adapter, json }: InfoOptions): Promise<void> {
  const facts = await withGpu(adapter, async (gpu, dawn) => ({
    versions: await versions(),
    adapter: adapterFacts(gpu),
    fastPaths: fastPaths(gpu, dawn.adapter, adapter),
    features: [...dawn.adapter.features].sort(),
    limits: Object.fromEntries(toldLimits.map((name) => [name, gpu.device.limits[name]])),
  }));
  if (json) jsonResult(facts);
  else result(listing(facts));
}

async function versions(): Promise<Record<string, string>> {
  const require = createRequire(import.meta.url);
  // Not every package lets its package.json be imported.
  const manifest = join(dirname(require.resolve("webgpu")), "package.json");
  const webgpu: string = JSON.parse(await readFile(manifest, "utf8")).version;
  return { reimagen: await packageVersion(), node: process.versions.node, webgpu };
}

function adapterFacts({ info }: Gpu) {
  const { vendor, architecture, device, description } = info;
  return { name: adapterName(info), vendor, architecture, device, driver: description };
}

function fastPaths({ traits, info }: Gpu, adapter: GPUAdapter, choice: AdapterChoice): FastPath[] {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  const lacks = (feature: string) =>
    adapter.features.has(feature as GPUFeatureName)
      ? "the device was made without it"
      : `the adapter has no ${feature}`;
  const softwareWhy =
    choice === "software" ? "the software adapter was asked for" : "Dawn found no GPU with a Vulkan driver";
  const subgroupsWhy = adapter.features.has("subgroups")
    ? `subgroups have ${least} to ${most} lanes here, and the kernels need one size`
    : lacks("subgroups");
  return [
    fastPath(
      "real GPU",
      !traits.software,
      adapterName(info),
      `${adapterName(info)} computes on the CPU: ${softwareWhy}`,
    ),
    fastPath("f16 arithmetic", traits.shaderF16, "shader-f16", lacks("shader-f16")),
    fastPath("subgroups", traits.subgroupSize > 0, `${traits.subgroupSize} lanes`, subgroupsWhy),
    fastPath(
      "subgroup matrices",
      traits.subgroupMatrix,
      "chromium-experimental-subgroup-matrix",
      lacks("chromium-experimental-subgroup-matrix"),
    ),
    fastPath("timestamps", traits.timestamps, "timestamp-query", lacks("timestamp-query")),
  ];
}

function fastPath(name: string, on: boolean, what: string, whyNot: string): FastPath {
  return { name, on, why: on ? what : whyNot };
}

function listing(facts: {
  versions: Record<string, string>;
  adapter: ReturnType<typeof adapterFacts>;
  fastPaths: readonly FastPath[];
  features: readonly string[];
  limits: Record<string, number>;
}): string {
  const { name, vendor, architecture, driver } = facts.adapter;
  const section = (title: string, lines: readonly (readonly [string, string])[]) => {
    const width = Math.max(...lines.map(([key]) => key.length));
    return [title, ...lines.map(([key, value]) => `  ${key.padEnd(width)}  ${value}`)].join("\n");
  };
  const known = { name, vendor, architecture, driver: driver === name ? "" : driver };
  return [
    section("Versions", Object.entries(facts.versions)),
    section(
      "Adapter",
      Object.entries(known).filter(([, value]) => value),
    ),
    section(
      "Fast paths",
      facts.fastPaths.map(({ name, on, why }) => [name, `${on ? "on " : "off"}  ${why}`]),
    ),
    section(
      "Limits",
      Object.entries(facts.limits).map(([key, value]) => [key, String(value)]),
    ),
    `Features\n  ${facts.features.join(" ")}`,
  ].join("\n\n");
}
