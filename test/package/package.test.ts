// The package as npm packs it and a stranger installs it: what is in it, and that bundlers, pages, Node and TypeScript can use it.
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import type { Browser } from "playwright";
import { build as viteBuild } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBrowser, openPage, serve } from "../site.ts";
import { installApp, root } from "./install.ts";

const run = promisify(execFile);
let app: string;
let packed: readonly string[];
let browser: Browser;

beforeAll(async () => {
  ({ folder: app, packed } = await installApp());
  browser = await openBrowser();
}, 240_000);
afterAll(async () => {
  await browser?.close();
  await rm(app, { recursive: true });
});

it("holds the built files and their types, and neither weights nor sources", () => {
  const allowed = /^(package\.json|README\.md|LICENSE|dist\/.*\.js|dist\/types\/.*\.d\.ts)$/;
  expect(packed.filter((path) => !allowed.test(path))).toEqual([]);
  expect(packed).toEqual(
    expect.arrayContaining([
      "LICENSE",
      "dist/index.js",
      "dist/diffusers.js",
      "dist/types/diffusers.d.ts",
      "dist/retrieval.js",
      "dist/types/retrieval.d.ts",
      "dist/node/index.js",
      "dist/node/cli.js",
    ]),
  );
});

it("takes less than 60 kB of a page, compressed, and nothing of Node", async () => {
  const { code, outside } = await bundle('export * from "reimagen";');
  expect(outside).toEqual([]);
  const compressed = gzipSync(code, { level: 9 }).length;
  console.info(`reimagen in a page: ${(compressed / 1000).toFixed(1)} kB compressed`);
  expect(compressed).toBeLessThan(60_000);
});

it("brings pipelines of public models to a page too, as an entry of their own", async () => {
  const { code, outside } = await bundle('export * from "reimagen/diffusers";');
  expect(outside).toEqual([]);
  expect(code).toContain("StableDiffusionPipeline");
  expect((await bundle('export * from "reimagen";')).code).not.toContain("StableDiffusionPipeline");
});

it("brings learned retrieval to a page that asks for it, and not to others", async () => {
  const { code, outside } = await bundle('export * from "reimagen/retrieval";');
  expect(outside).toEqual([]);
  expect(code).toContain("another retriever made them");
  expect((await bundle('export * from "reimagen";')).code).not.toContain("another retriever made them");
});

it("leaves what an app does not import out of its bundle", async () => {
  const { code } = await bundle('export { createDatabase, ReimagenError } from "reimagen";');
  expect(code).not.toContain("@compute");
  expect(code.length).toBeLessThan(12_000);
});

it("brings kernels for subgroup matrices only to devices that have them", async () => {
  const { code, later } = await bundle('export { createEngine, requestGpu } from "reimagen";');
  expect(code).not.toContain("subgroup_matrix_left");
  expect(later).toContain("subgroup_matrix_left");
});

/** What a page loads at once, what it may load later, and what it asks of others. */
async function bundle(contents: string): Promise<{ code: string; later: string; outside: string[] }> {
  const { metafile, outputFiles } = await build({
    stdin: { contents, resolveDir: app },
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    metafile: true,
    write: false,
    outdir: app,
    absWorkingDir: app,
  });
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  const outside = imports.filter(({ path, external }) => external || path.startsWith("node:"));
  const atOnce = new Set(["stdin.js"]);
  for (const file of atOnce)
    for (const { path, kind } of metafile.outputs[file]!.imports) if (kind === "import-statement") atOnce.add(path);
  const textOf = (wanted: boolean) =>
    outputFiles.filter(({ path }) => atOnce.has(relative(app, path)) === wanted).map(({ text }) => text);
  return { code: textOf(true).join(""), later: textOf(false).join(""), outside: outside.map(({ path }) => path) };
}

/** What a page does with the package: a device, the model beside it on the server, one step. */
const drawOneStep = `
  import { createEngine, fetchModel, requestGpu } from "reimagen";
  const gpu = await requestGpu();
  const engine = await createEngine(gpu, await fetchModel("weights/emoji-64"));
  const { pictures } = await engine.generate({ prompt: "a red apple", settings: { steps: 1, seed: 7 } });
  engine.dispose();
  window.drawn = { pixels: [...pictures[0].pixels], left: gpu.allocatedBytes };`;

interface Drawn {
  pixels: number[];
  /** Bytes on the GPU after all was given back. */
  left: number;
}

async function drawnBy(folder: string): Promise<Drawn> {
  await symlink(join(root, "weights"), join(folder, "weights"));
  const site = await serve(folder);
  try {
    const { page, complaints } = await openPage(browser, site.url);
    const drawn = await page.waitForFunction(() => (window as { drawn?: Drawn }).drawn, undefined, {
      timeout: 120_000,
    });
    expect(complaints).toEqual([]);
    return (await drawn.jsonValue()) as Drawn;
  } finally {
    await site.close();
  }
}

it("draws in a plain page through an import map, and the same in an app that Vite builds", async () => {
  const map = JSON.stringify({ imports: { reimagen: "./node_modules/reimagen/dist/index.js" } });
  const head = '<!doctype html><link rel="icon" href="data:,">';
  await writeFile(
    join(app, "index.html"),
    `${head}<script type="importmap">${map}</script><script type="module">${drawOneStep}</script>`,
  );
  const plain = await drawnBy(app);
  expect(plain.pixels).toHaveLength(64 * 64 * 4);
  expect(new Set(plain.pixels).size).toBeGreaterThan(50);
  expect(plain.left).toBe(0);

  const source = join(app, "vite-app");
  await mkdir(source);
  await writeFile(join(source, "main.js"), drawOneStep);
  await writeFile(join(source, "index.html"), `${head}<script type="module" src="./main.js"></script>`);
  await viteBuild({ configFile: false, root: source, base: "./", logLevel: "warn", build: { target: "es2022" } });
  expect(await drawnBy(join(source, "dist"))).toEqual(plain);
});
it("is one library in Node, whichever entry an error comes through", async () => {
  const script = `
    import { ReimagenError } from "reimagen";
    import { openModel } from "reimagen/node";
    await openModel("nowhere").catch((error) => console.log(error instanceof ReimagenError, error.code));`;
  await writeFile(join(app, "script.mjs"), script);
  expect((await run(process.execPath, ["script.mjs"], { cwd: app })).stdout).toBe("true checkpoint\n");
});

it("brings the command line", async () => {
  const cli = join(app, "node_modules", "reimagen", "dist", "node", "cli.js");
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  expect((await run(process.execPath, [cli, "--version"])).stdout).toBe(`${version}\n`);
});

it("brings its types", async () => {
  const program = `
    import { adoptGpu, createEngine, type Generated } from "reimagen";
    import { openModel } from "reimagen/node";
    export async function draw(device: GPUDevice): Promise<Generated> {
      const engine = await createEngine(adoptGpu(device), await openModel("model"));
      // @ts-expect-error
      engine.generate({ prompt: 1 });
      return engine.generate({ prompt: "a fox" });
    }`;
  await writeFile(join(app, "program.mts"), program);
  const compilerOptions = { strict: true, noEmit: true, target: "es2022", module: "nodenext", lib: ["es2023", "dom"] };
  await writeFile(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.mts"] }));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { stdout } = await run(process.execPath, [tsc, "-p", app]).catch((failed: { stdout: string }) => failed);
  expect(stdout).toBe("");
});
