// A Vite plugin that writes the service worker of a page, with the list of the files that the page consists of.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Plugin, type Rollup, transformWithEsbuild } from "vite";

/** Emits `service-worker.js`, which keeps the built `page` and all that it loads. */
export function offlineShell(page: string): Plugin {
  return {
    name: "offline-shell",
    apply: "build",
    enforce: "post",
    async generateBundle(_, bundle) {
      const files = [page, ...shellOf(page, bundle)];
      const version = createHash("sha256");
      for (const file of files) version.update(`${file}\n`).update(contentOf(bundle[file]));
      const path = new URL("service-worker.ts", import.meta.url).pathname;
      const { code } = await transformWithEsbuild(await readFile(path, "utf8"), path, {
        define: {
          SHELL_FILES: JSON.stringify(files),
          SHELL_VERSION: JSON.stringify(version.digest("hex").slice(0, 16)),
        },
        minify: true,
      });
      this.emitFile({ type: "asset", fileName: "service-worker.js", source: code });
    },
  };
}

/** The page's own scripts and styles, and what these load. */
function shellOf(page: string, bundle: Rollup.OutputBundle): string[] {
  const found = new Set<string>();
  const visit = (file: string) => {
    const output = bundle[file];
    if (!output || found.has(file)) return;
    found.add(file);
    const text = contentOf(output).toString();
    // Whatever way a file refers to another, by import, by URL or as a worker, its name stands in there.
    for (const other of Object.keys(bundle))
      if (other !== page && text.includes(other.split("/").at(-1)!)) visit(other);
  };
  visit(page);
  found.delete(page);
  return [...found].sort();
}

function contentOf(output: Rollup.OutputChunk | Rollup.OutputAsset): string | Uint8Array {
  return output.type === "chunk" ? output.code : output.source;
}
