// Test runner: one suite, on Dawn in Node and in headless Chromium.
import { defineConfig } from "vitest/config";

/** Serves a `.wgsl` import as its text, as Node's loader hook and the build do. */
const wgsl = {
  name: "wgsl",
  transform: (text: string, id: string) =>
    id.endsWith(".wgsl") ? `export default ${JSON.stringify(text)};` : undefined,
};

export default defineConfig({
  plugins: [wgsl],
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    testTimeout: 300_000,
    pool: "forks",
  },
});
