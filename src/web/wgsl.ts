// Vite's part in loading kernels: a `.wgsl` import is the file's text, as Node's loader hook and the build of the package have it.
import type { Plugin } from "vite";

/** The plugin. */
export const wgsl = (): Plugin => ({
  name: "wgsl",
  transform: (text, id) => (id.endsWith(".wgsl") ? `export default ${JSON.stringify(text)};` : undefined),
});
