// A packed folder as the lab's host: the system's Vulkan driver, the shipped model's config, and its weights where they were packed.
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { requestGpu } from "../../src/gpu/gpu.ts";
import { readConfig } from "../../src/models/config.ts";
import { openDawn } from "../../src/node/dawn.ts";
import { openModel } from "../../src/node/model.ts";
import type { NodeHost } from "../command.ts";
import type { Host } from "../lab/lab.ts";
import { describeMachine } from "../machine.ts";

/** Version of the packed Dawn; the build fills it in. */
declare const WEBGPU_VERSION: string;

const modelFolder = fileURLToPath(new URL("./model", import.meta.url));

// Dawn does not keep itself alive for its devices.
const opened: unknown[] = [];

/** Opens the system's adapter. Pictures of noise stand in for neighbours. */
export async function openPack(say: Host["say"]): Promise<NodeHost> {
  const dawn = await openDawn("gpu");
  opened.push(dawn);
  const gpu = await requestGpu(dawn.requestAdapter);
  return {
    gpu,
    config: readConfig("config.json", await readFile(join(modelFolder, "config.json"), "utf8")),
    ...((await weightsPacked()) && { model: await openModel(modelFolder) }),
    machine: await describeMachine(gpu, WEBGPU_VERSION),
    say,
  };
}

/** Whether the folder was packed with weights, which the families that draw need. */
export function weightsPacked(): Promise<boolean> {
  return access(join(modelFolder, "model.safetensors")).then(
    () => true,
    () => false,
  );
}
