// Packs the lab into out/bench-pack, for machines with nothing but a GPU driver: npm run bench:pack [-- --weights].
import { execFileSync } from "node:child_process";
import { chmod, copyFile, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { gzip } from "node:zlib";
import { build } from "esbuild";
import { unpackBrowserArchive } from "../../src/node/software-adapter.ts";

/** Bytes that the pack may have, weights aside. */
const MOST = 60 * 2 ** 20;

const root = fileURLToPath(new URL("../..", import.meta.url));
const out = join(root, "out/bench-pack");
const { values } = parseArgs({ options: { weights: { type: "boolean", default: false } } });
if (`${process.platform}-${process.arch}` !== "linux-x64") throw new Error("the pack can be made on linux-x64 only");

await rm(out, { recursive: true, force: true });
for (const folder of ["bench/model", "lib", "fallback"]) await mkdir(join(out, folder), { recursive: true });
await bundle();
await packNode();
await copyNative();
const model = join(root, "weights/emoji-64");
for (const file of ["config.json", "tokenizer.json", ...(values.weights ? ["model.safetensors"] : [])])
  await copyFile(join(model, file), join(out, "bench/model", file));
await copyFile(join(root, "bench/pack/run.sh"), join(out, "run.sh"));
await chmod(join(out, "run.sh"), 0o755);
await report();

async function bundle(): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, "node_modules/webgpu/package.json"), "utf8"));
  await build({
    entryPoints: [join(root, "bench/pack/main.ts"), join(root, "bench/pack/startup.child.ts")],
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    loader: { ".wgsl": "text" },
    alias: { webgpu: join(root, "bench/pack/webgpu.mjs") },
    // Only the software adapter needs these, which is not packed.
    external: ["koffi", "tar-fs", "@sparticuz/chromium"],
    define: { WEBGPU_VERSION: JSON.stringify(version) },
    outdir: join(out, "bench"),
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
}

/** This node, without its debugging symbols where `strip` is at hand, compressed: it is most of the pack. */
async function packNode(): Promise<void> {
  const stripped = join(out, "node");
  await copyFile(process.execPath, stripped);
  await chmod(stripped, 0o755);
  try {
    execFileSync("strip", [stripped], { stdio: "ignore" });
  } catch {
    console.warn("strip is not here: node stays some MiB larger");
  }
  await compress(stripped, join(out, "node.gz"));
  await rm(stripped);
}

/** Dawn, the Vulkan loader that comes with SwiftShader, and the C++ library for systems that have none. */
async function copyNative(): Promise<void> {
  await compress(join(root, "node_modules/webgpu/dist/linux-x64/dawn.node"), join(out, "dawn.node.gz"));
  await copyFile(join(await unpackBrowserArchive("swiftshader"), "libvulkan.so.1"), join(out, "lib/libvulkan.so.1"));
  for (const name of ["libstdc++.so.6", "libgcc_s.so.1"]) {
    const places = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64"];
    const found = await Promise.allSettled(places.map((place) => realpath(join(place, name))));
    const library = found.flatMap((entry) => (entry.status === "fulfilled" ? [entry.value] : []))[0];
    if (library) await copyFile(library, join(out, "fallback", name));
    else console.warn(`${name} is not here: the pack runs only where the system has it`);
  }
}

async function compress(from: string, to: string): Promise<void> {
  await writeFile(to, await promisify(gzip)(await readFile(from), { level: 9 }));
}

async function report(): Promise<void> {
  const files = await readdir(out, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    files.filter((file) => file.isFile()).map(async (file) => (await stat(join(file.parentPath, file.name))).size),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const mebibytes = (size: number) => (size / 2 ** 20).toFixed(1);
  console.log(`${out}: ${mebibytes(bytes)} MiB in ${sizes.length} files${values.weights ? ", weights included" : ""}`);
  if (bytes > MOST) {
    console.error(`that is more than ${mebibytes(MOST)} MiB`);
    if (!values.weights) process.exitCode = 1;
  }
}
