// The package as npm packs it: what is in it, that a page and Node can use it, and its types.
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createGunzip, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { extract } from "tar-fs";
import { afterAll, beforeAll, expect, it } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
let app: string;
let packed: string[];

// Inside our node_modules, so that the package finds its dependencies as an installed one does.
beforeAll(async () => {
  app = await mkdtemp(join(root, "node_modules", ".app-"));
  await run("npm", ["run", "build"], { cwd: root });
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", app], { cwd: root });
  const [{ filename, files }] = Object.values(JSON.parse(stdout)) as [{ filename: string; files: { path: string }[] }];
  packed = files.map(({ path }) => path);
  await pipeline(createReadStream(join(app, filename)), createGunzip(), extract(app));
  await mkdir(join(app, "node_modules"));
  await rename(join(app, "package"), join(app, "node_modules", "reimagen"));
});
afterAll(() => rm(app, { recursive: true }));

it("holds the built files and their types, and neither weights nor sources", () => {
  const allowed = /^(package\.json|README\.md|LICENSE|dist\/.*\.js|dist\/types\/.*\.d\.ts)$/;
  expect(packed.filter((path) => !allowed.test(path))).toEqual([]);
  expect(packed).toEqual(
    expect.arrayContaining(["LICENSE", "dist/index.js", "dist/node/index.js", "dist/node/cli.js"]),
  );
});

it("takes less than 60 kB of a page, compressed, and nothing of Node", async () => {
  const bundle = await build({
    stdin: { contents: 'export * from "reimagen";', resolveDir: app },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    metafile: true,
    write: false,
  });
  const imports = Object.values(bundle.metafile.inputs).flatMap((input) => input.imports);
  expect(imports.filter(({ path, external }) => external || path.startsWith("node:"))).toEqual([]);
  const compressed = gzipSync(bundle.outputFiles[0]!.contents, { level: 9 }).length;
  console.info(`reimagen in a page: ${(compressed / 1000).toFixed(1)} kB compressed`);
  expect(compressed).toBeLessThan(60_000);
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
