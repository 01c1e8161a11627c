// Test runner: one suite, on Dawn in Node and, where no file system is needed, in headless Chromium too.
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { headlessBrowser } from "../src/node/headless-browser.ts";
import { wgsl } from "../src/web/wgsl.ts";
import { drawInNode } from "./web/draw-in-node.ts";

const root = new URL("..", import.meta.url).pathname;

// The npm browser is for linux-x64; elsewhere Playwright starts the one that it installed itself.
const browser =
  process.platform === "linux" && process.arch === "x64"
    ? await headlessBrowser()
    : { args: ["--enable-unsafe-webgpu"] };

export default defineConfig({
  plugins: [wgsl()],
  root,
  test: {
    testTimeout: 300_000,
    // Beside the browser: a file alone, as the runner would have it on two cores, leaves one idle at the end.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: "node", include: ["test/**/*.test.ts"], exclude: ["test/web/**"], pool: "forks" },
      },
      {
        extends: true,
        test: {
          name: "browser",
          include: ["test/{ops,graph,models,diffusion,web}/**/*.test.ts"],
          // About kernels for devices that this browser has not, or about the host's side of pipelines, and a minute or more each: once, in
          // Node. Here `pipeline-steps` takes a step with each kind of pipeline.
          exclude: ["test/ops/hardware.test.ts", "test/diffusion/{pipelines,pipeline-neighbors,pndm,tiles}.test.ts"],
          browser: {
            enabled: true,
            provider: playwright({ launchOptions: browser }),
            headless: true,
            screenshotFailures: false,
            commands: { drawInNode },
            instances: [{ browser: "chromium" }],
          },
        },
      },
    ],
  },
});
