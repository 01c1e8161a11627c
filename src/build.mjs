// Builds the package's code into dist/: the browser core and the Node entries share their chunks, kernels lie within as text.
import { readFile, rm } from "node:fs/promises";
import { build } from "esbuild";

/** A kernel without what only people read: comments (WGSL has no strings that could hold one's start) and space, but for that which keeps two minuses apart. */
function squeezed(code) {
  const lines = code.replace(/\/\/.*$/gm, "").split("\n");
  return lines
    .map((line) => line.trim().replace(/ ?([,;:{}()=*+/<>&|%]| -(?= [^-])) ?/g, (_, sign) => sign.trim()))
    .filter(Boolean)
    .join("\n");
}

const kernels = {
  name: "kernels",
  setup({ onLoad }) {
    onLoad({ filter: /\.wgsl$/ }, async ({ path }) => ({
      contents: squeezed(await readFile(path, "utf8")),
      loader: "text",
    }));
  },
};

// Chunks are named by their content: those of earlier builds would stay.
await rm("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/index.ts", "src/diffusers.ts", "src/retrieval.ts", "src/node/index.ts", "src/node/cli.ts"],
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
