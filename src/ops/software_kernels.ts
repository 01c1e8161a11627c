// The kernels and ops for software adapters, a chunk of their own: GPUs are better off with others.
export { default as attention } from "../../kernels/attention.subgroup.wgsl";
export { default as conv2dQuad } from "../../kernels/conv2d.quad.wgsl";
export { default as conv2dRegister } from "../../kernels/conv2d.register.wgsl";
export { default as conv2d } from "../../kernels/conv2d.subgroup.wgsl";
export { default as groupNorm } from "../../kernels/group_norm_affine.register.wgsl";
export { default as layerNorm } from "../../kernels/layer_norm.register.wgsl";
export { default as linearQuad } from "../../kernels/linear.quad.wgsl";
export { default as linearRegister } from "../../kernels/linear.register.wgsl";
export { default as linear } from "../../kernels/linear.subgroup.wgsl";
export { default as rmsNorm } from "../../kernels/rms_norm.register.wgsl";
export { winogradOps } from "./winograd_conv2d.ts";
