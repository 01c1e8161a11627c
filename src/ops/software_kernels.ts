// The kernels for software adapters with subgroups, a chunk of their own: GPUs are better off with others.
export { default as attention } from "../../kernels/attention.subgroup.wgsl";
export { default as conv2d } from "../../kernels/conv2d.subgroup.wgsl";
export { default as linear } from "../../kernels/linear.subgroup.wgsl";
