// The parts of the peers' interfaces that the page uses; the packages lie apart and may not be installed.
declare module "onnxruntime-web/webgpu" {
  export class Tensor {
    constructor(type: "float32", data: Float32Array, shape: readonly number[]);
    getData(): Promise<Float32Array>;
  }
  export const InferenceSession: {
    create(
      model: Uint8Array,
      options: { executionProviders: string[] },
    ): Promise<{ run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>; release(): Promise<void> }>;
  };
  export const env: { wasm: { numThreads: number; wasmPaths?: { wasm: string } } };
}
declare module "@tensorflow/tfjs-core" {
  export interface Tensor {
    data(): Promise<Float32Array>;
    dispose(): void;
  }
  export function tensor(data: Float32Array, shape: readonly number[]): Tensor;
  export function tidy<T>(run: () => T): T;
  export function matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  export function mul(a: Tensor, b: number): Tensor;
  export function softmax(x: Tensor): Tensor;
  export function setBackend(name: string): Promise<boolean>;
  export function ready(): Promise<void>;
  export const fused: {
    conv2d(options: { x: Tensor; filter: Tensor; strides: number; pad: number; bias: Tensor }): Tensor;
    matMul(options: { a: Tensor; b: Tensor; bias: Tensor }): Tensor;
  };
}
declare module "@tensorflow/tfjs-backend-webgpu" {}
