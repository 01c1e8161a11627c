// Builds the package's code into dist/: the browser core and the Node entries share their chunks, kernels lie within as text.
import { readFile, rm } from "node:fs/promises";
import { build } from "esbuild";

/** A kernel without what only people read; WGSL has no strings that could hold a comment's start. */
function withoutComments(code) {
  const lines = code.replace(/\/\/.*$/gm, "").split("\n");
  return lines
    .map((line) => line.trim())
    .filter(Boolean)
    .join("\n");
}

const kernels = {
  name: "kernels",
  setup({ onLoad }) {
    onLoad({ filter: /\.wgsl$/ }, async ({ path }) => ({
      contents: withoutComments(await readFile(path, "utf8")),
      loader: "text",
    }));
  },
};

// Chunks are named by their content: those of earlier builds would stay.
await rm("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/index.ts", "src/diffusers.ts", "src/node/index.ts", "src/node/cli.ts"],
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  packages: "external",
  plugins: [kernels],
  outbase: "src",
  outdir: "dist",
  chunkNames: "shared/[name]-[hash]",
  logLevel: "warning",
});
