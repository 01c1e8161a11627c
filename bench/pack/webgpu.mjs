// Dawn as run.sh unpacked it, in place of the package `webgpu`.
import { createRequire } from "node:module";

export const { create, globals } = createRequire(import.meta.url)(process.env.BENCH_DAWN);
