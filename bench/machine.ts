// What a measurement was taken on, as Node can tell.
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { basename } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Gpu } from "../src/gpu/gpu.ts";
import { type Machine, slugOf } from "./lab/report.ts";

/** Describes this machine; `webgpu` is the version of that package. */
export async function describeMachine(gpu: Gpu, webgpu: string): Promise<Machine> {
  const processors = cpus();
  return {
    adapter: gpu.info.description,
    slug: slugOf(gpu.info.device),
    drivers: await loadedDrivers(),
    processor: processors[0]!.model,
    cores: processors.length,
    versions: { node: process.versions.node, webgpu },
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
