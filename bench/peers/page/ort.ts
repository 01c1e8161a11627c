// onnxruntime-web on WebGPU.
import { env, InferenceSession, Tensor } from "onnxruntime-web/webgpu";
import { onnxTask } from "../onnx.ts";
import type { Engine } from "../tasks.ts";

/** Opens sessions with WebGPU as the only provider. */
export function ort(): Engine {
  env.wasm.numThreads = 1;
  // The bundle holds its script, but looks for the WebAssembly beside where Vite put it.
  env.wasm.wasmPaths = {
    wasm: new URL("../node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm", import.meta.url).href,
  };
  return {
    name: "onnxruntime-web",
    async open(task) {
      const { model, x, shape, common } = onnxTask(task);
      const session = await InferenceSession.create(model, { executionProviders: ["webgpu"] });
      return {
        run: async () => (await session.run({ x: new Tensor("float32", x, shape) })).y!.getData(),
        common,
        dispose: () => void session.release(),
      };
    },
  };
}
