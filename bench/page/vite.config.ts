// Serves the lab's page: npm run bench:page. The root is the repository, as the page reads sources and weights.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { wgsl } from "../../src/web/wgsl.ts";

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  plugins: [wgsl()],
  // Browsers round their clock to 100 us except for pages that share their process with nobody.
  server: {
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
  },
});
