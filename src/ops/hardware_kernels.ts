// The large kernels for GPUs, a chunk of their own: software adapters do without.
export { default as absQuantile } from "../../kernels/abs_quantile.workgroup.wgsl";
export { default as attention } from "../../kernels/attention.matrix.wgsl";
export { default as attentionTiled } from "../../kernels/attention.tiled.wgsl";
export { default as attentionWide } from "../../kernels/attention.wide.wgsl";
export { default as conv2d } from "../../kernels/conv2d.factors.wgsl";
export { default as conv2dTiled } from "../../kernels/conv2d.tiled.wgsl";
export { default as groupNorm } from "../../kernels/group_norm_affine.workgroup.wgsl";
export { default as layerNorm } from "../../kernels/layer_norm.workgroup.wgsl";
export { default as linear } from "../../kernels/linear.factors.wgsl";
export { default as linearTiled } from "../../kernels/linear.tiled.wgsl";
export { default as matrixProduct } from "../../kernels/matrix.product.wgsl";
export { default as matrix } from "../../kernels/matrix.wgsl";
export { default as multiplyAdd } from "../../kernels/multiply_add.wgsl";
export { default as rmsNorm } from "../../kernels/rms_norm.workgroup.wgsl";
export { default as subgroupSum } from "../../kernels/subgroup_sum.wgsl";
export { default as tiledProduct } from "../../kernels/tiled.product.wgsl";
