import { it } from "vitest";
import { absQuantile } from "../src/ops/abs_quantile.ts";
import type { TensorType } from "../src/ops/op.ts";
import { testGpu } from "./gpu.ts";
it("probe", async () => {
  const gpu = await testGpu();
  const warm = await gpu.compile({name:"w",code:"@group(0) @binding(0) var<storage,read> x: array<f32>; @group(0) @binding(1) var<storage,read_write> y: array<f32>; @compute @workgroup_size(1) fn main(){y[0]=x[0];}",bindings:["read","write"]});
  for (const [n, size] of [[1,12288],[2,12288],[1,196608]] as const)
  for (const v of absQuantile.variants) {
    const type: TensorType = { shape: [n, size], dtype: "f32" };
    const out = absQuantile.infer([type], { p: 0.995 });
    const l = v.launch([type], out, { p: 0.995 }, gpu.traits);
    let t = performance.now();
    const { pipeline, layout } = await gpu.compile(l.kernel);
    const compile = performance.now() - t;
    const U = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const x = gpu.allocate("x", n*size*4, U), y = gpu.allocate("y", 16, U);
    const d = new Float32Array(n*size); for (let i=0;i<d.length;i++) d[i] = Math.sqrt(-2*Math.log(1-Math.random()))*Math.cos(6.283*Math.random());
    gpu.device.queue.writeBuffer(x, 0, d);
    const group = gpu.device.createBindGroup({ layout, entries: [{binding:0,resource:{buffer:x}},{binding:1,resource:{buffer:y,size:4*n}}] });
    const times: number[] = [];
    for (let i=0;i<6;i++) {
      t = performance.now();
      const e = gpu.device.createCommandEncoder(); const p = e.beginComputePass(); p.setPipeline(pipeline); p.setBindGroup(0, group); p.dispatchWorkgroups(...l.workgroups); p.end();
      gpu.device.queue.submit([e.finish()]); await gpu.idle(); times.push(performance.now()-t);
    }
    console.log(gpu.info.description, v.name, n, size, "compile", compile.toFixed(0), "run", times.map(v=>v.toFixed(2)).join(" "));
  }
});
