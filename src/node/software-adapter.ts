// The software Vulkan adapter that comes from npm: SwiftShader, unpacked from `@sparticuz/chromium`, no root and no system package.
import { access, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { ReimagenError } from "../errors.ts";

const require = createRequire(import.meta.url);

/** Folder of files that can be made again at any time: `$XDG_CACHE_HOME/reimagen`, or `~/.cache/reimagen`. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "reimagen");
}

/**
 * Makes SwiftShader the process's Vulkan driver, so that the next Dawn instance finds it.
 * Throws `no-adapter` off Linux x86-64, or where the optional packages are not installed.
 */
export async function useSoftwareAdapter(): Promise<void> {
  const folder = await unpackBrowserArchive("swiftshader");
  process.env.VK_DRIVER_FILES = join(folder, "vk_swiftshader_icd.json");
  // Dawn opens the loader by its name alone; once it is in the process, that name is found without any library path.
  const { default: koffi } = await import("koffi");
  koffi.load(join(folder, "libvulkan.so.1"));
}

/** Unpacks one of the browser package's archives (`swiftshader`; `al2023`, its libraries) into the cache, once a version; returns the folder. */
export async function unpackBrowserArchive(name: "swiftshader" | "al2023"): Promise<string> {
  const { bin, version } = browserPackage();
  const target = join(cacheFolder(), `chromium-${version}`, name);
  if (await exists(target)) return target;
  const { extract } = await import("tar-fs");
  await placeAtomically(target, async (temporary) => {
    const archive = Readable.from([await readFile(join(bin, `${name}.tar.br`))]);
    await pipeline(archive, createBrotliDecompress(), extract(temporary));
  });
  return target;
}

/** Where the optional browser package keeps its archives, and its version. */
export function browserPackage(): { bin: string; version: string } {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new ReimagenError(
      "no-adapter",
      `no GPU adapter was found, and the software adapter from npm is for linux-x64 only; this is ${process.platform}-${process.arch}`,
    );
  try {
    const root = join(dirname(require.resolve("@sparticuz/chromium")), "../..");
    return { bin: join(root, "bin"), version: require(join(root, "package.json")).version };
  } catch (cause) {
    throw new ReimagenError(
      "no-adapter",
      "no GPU adapter was found, and the software adapter is not installed: npm install @sparticuz/chromium koffi tar-fs",
      { cause },
    );
  }
}

/** Fills a temporary folder beside `target` and renames it, so that two processes can unpack at once and none sees half. */
export async function placeAtomically(target: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const temporary = await mkdtemp(`${target}-`);
  try {
    await fill(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (!(await exists(target))) throw error;
  }
}

/** Whether a file or folder is there. */
export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
