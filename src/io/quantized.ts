// The form of 8-bit weights in safetensors: which tensors are in it, and where their scales are.
import type { Safetensors, TensorInfo } from "./safetensors.ts";

/** The key and value that a file's metadata has where its I8 tensors are of this form: a name and a version. */
export const quantization = { key: "reimagen.q8", version: "1" } as const;

/**
 * Name of the F16 tensor [O, blocks] beside an I8 matrix [O, I] or kernel [O, I, KH, KW] of codes -127 to 127: what 127 stands for in each block of
 * 32 inputs of an output. Inputs are counted tap by tap (KH, KW, I), so that these are the blocks of `q8` on the device.
 */
export const scaleName = (name: string): string => `${name}.scale`;

/** Whether a tensor is of this form, with all that it needs. */
export function isQuantized({ metadata, tensors }: Safetensors, { name, dtype, shape }: TensorInfo): boolean {
  const [outputs, ...inputs] = shape as [number, ...number[]];
  const scale = tensors.get(scaleName(name));
  const blocks = Math.ceil(inputs.reduce((product, extent) => product * extent, 1) / 32);
  return (
    metadata[quantization.key] === quantization.version &&
    dtype === "I8" &&
    (outputs | inputs[0]!) % 4 === 0 &&
    `${scale?.dtype} ${scale?.shape}` === `F16 ${outputs},${blocks}`
  );
}

/** Whether any of a checkpoint's tensors is of this form. */
export function hasQuantized(checkpoint: Safetensors): boolean {
  return [...checkpoint.tensors.values()].some((info) => isQuantized(checkpoint, info));
}
