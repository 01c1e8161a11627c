// Builds and serves the pages: the demo at the root and the examples beside it, with weights and database, for any path of any web server.
import { createReadStream, existsSync } from "node:fs";
import { cp, readdir, stat } from "node:fs/promises";
import { join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { offlineShell } from "./offline-shell.ts";
import { wgsl } from "./wgsl.ts";

const root = fileURLToPath(new URL(".", import.meta.url));
const repository = fileURLToPath(new URL("../..", import.meta.url));

/** What pages load at run time; the folders' other files are for readers. */
const served =
  /^weights\/(emoji-64\/(config|tokenizer)\.json|emoji-64\/model\.safetensors|emoji-db\/[\w.-]+\.(json|webp|md))$/;

/** Serves weights and database as they lie in the repository, and copies them into the build. */
const weights = (): Plugin => ({
  name: "weights",
  configureServer({ middlewares }) {
    middlewares.use(async (request, response, next) => {
      const path = normalize(decodeURIComponent(request.url?.split("?")[0] ?? "")).slice(1);
      const file = join(repository, path);
      const facts = served.test(path) ? await stat(file).catch(() => undefined) : undefined;
      if (!facts) return next();
      const { size, mtime } = facts;
      response.setHeader("Content-Length", size).setHeader("Last-Modified", mtime.toUTCString());
      if (request.method === "HEAD") response.end();
      else createReadStream(file).pipe(response);
    });
  },
  async writeBundle({ dir }) {
    for (const path of await readdir(join(repository, "weights"), { recursive: true }))
      if (served.test(`weights/${path}`)) await cp(join(repository, "weights", path), join(dir!, "weights", path));
  },
});

const examples = (await readdir(join(root, "examples"))).map((name) => `examples/${name}/index.html`);
const pages = ["index.html", ...examples].map((page) => join(root, page)).filter(existsSync);

export default defineConfig({
  root,
  base: "./",
  plugins: [wgsl(), weights(), offlineShell("index.html")],
  worker: { format: "es", plugins: () => [wgsl()] },
  build: {
    outDir: join(repository, "out/demo"),
    emptyOutDir: true,
    target: "es2022",
    rollupOptions: { input: pages },
  },
});
