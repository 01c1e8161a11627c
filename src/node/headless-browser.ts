// The headless Chromium that comes from npm, with WebGPU on SwiftShader: for the tests and for benches that need a page.
import { createReadStream, createWriteStream } from "node:fs";
import { readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { browserPackage, cacheFolder, exists, placeAtomically, unpackBrowserArchive } from "./software-adapter.ts";

/** How to start the browser, in the words of Playwright's `launch`. */
export interface BrowserLaunch {
  readonly executablePath: string;
  readonly args: string[];
  /** The whole environment of the browser's process. */
  readonly env: Record<string, string>;
}

// Page and WebGPU on one Vulkan driver: else they can share no images, and a WebGPU canvas stays blank.
const canvasFlags = [
  ...["--use-gl=angle", "--use-angle=vulkan", "--enable-features=Vulkan"],
  ...["--use-vulkan=swiftshader", "--ignore-gpu-blocklist"],
];

/** Unpacks `@sparticuz/chromium` into the cache, once a version, and says how to start it. Throws `no-adapter` as `browserPackage` does. */
export async function headlessBrowser(): Promise<BrowserLaunch> {
  const [folder, libraries] = await Promise.all([unpackBrowser(), unpackBrowserArchive("al2023")]);
  const libraryPath = [join(libraries, "lib"), process.env.LD_LIBRARY_PATH].filter(Boolean).join(":");
  return {
    executablePath: join(folder, "chromium"),
    // Containers usually lack the user namespaces that the sandbox needs; the browser sees nothing but our own pages.
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", ...canvasFlags],
    // The page itself would look for a driver among the system's, of which a clean machine has none.
    env: {
      ...(process.env as Record<string, string>),
      LD_LIBRARY_PATH: libraryPath,
      VK_DRIVER_FILES: join(folder, "vk_swiftshader_icd.json"),
    },
  };
}

async function unpackBrowser(): Promise<string> {
  const { bin, version } = browserPackage();
  const target = join(cacheFolder(), `chromium-${version}`, "browser");
  if (await exists(target)) return target;
  const vulkan = await unpackBrowserArchive("swiftshader");
  await placeAtomically(target, async (temporary) => {
    const executable = createWriteStream(join(temporary, "chromium"), { mode: 0o755 });
    await pipeline(createReadStream(join(bin, "chromium.br")), createBrotliDecompress(), executable);
    // Chromium looks for the Vulkan loader and SwiftShader beside its executable only.
    for (const file of await readdir(vulkan)) await symlink(join("..", "swiftshader", file), join(temporary, file));
  });
  return target;
}
