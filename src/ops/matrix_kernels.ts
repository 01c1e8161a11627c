// The kernels on subgroup matrices, a chunk of their own: only devices that have such matrices load it.
export { default as attention } from "../../kernels/attention.matrix.wgsl";
export { default as conv2d } from "../../kernels/conv2d.matrix.wgsl";
export { default as linear } from "../../kernels/linear.matrix.wgsl";
export { default as product } from "../../kernels/matrix.product.wgsl";
export { default as functions } from "../../kernels/matrix.wgsl";
