// What a measurement was taken on: without it a figure means nothing later.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { basename } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Gpu } from "../src/gpu/gpu.ts";

/** Hardware and software. */
export interface Machine {
  /** Adapter with its driver's version, as Dawn describes it. */
  readonly adapter: string;
  /** Name of the adapter that can be a file's. */
  readonly slug: string;
  /** Vulkan drivers loaded into the process; empty where that cannot be told. */
  readonly drivers: readonly string[];
  readonly processor: string;
  readonly cores: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly date: string;
}

/** Describes this machine. */
export async function describeMachine(gpu: Gpu): Promise<Machine> {
  const require = createRequire(import.meta.url);
  const processors = cpus();
  return {
    adapter: gpu.info.description,
    slug: gpu.info.device.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, ""),
    drivers: await loadedDrivers(),
    processor: processors[0]!.model,
    cores: processors.length,
    versions: { node: process.versions.node, webgpu: require("webgpu/package.json").version },
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
  };
}

/** Share of the processors' time that others take, in [0, 1], measured over a second; to be called before the bench's own work. */
export async function busyShare(): Promise<number> {
  const before = processorTimes();
  await pause(1000);
  const after = processorTimes();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}

/** File names of the Vulkan drivers mapped into this process, which show what an engine that does not tell really runs on. Linux; elsewhere empty. */
export async function loadedDrivers(): Promise<string[]> {
  const maps = await readFile("/proc/self/maps", "utf8").catch(() => "");
  const files = maps.split("\n").map((line) => basename(line.split(/\s+/)[5] ?? ""));
  const drivers = files.filter((file) => /^(libvk_|libvulkan_|libGLX_nvidia|libamdvlk)/.test(file));
  return [...new Set(drivers)].sort();
}

function processorTimes(): { idle: number; all: number } {
  const times = cpus().map(({ times }) => times);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return { idle: sum(times.map(({ idle }) => idle)), all: sum(times.flatMap((time) => Object.values(time))) };
}
