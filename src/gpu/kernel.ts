// A kernel as plain data, and the prelude of `const` and `alias` lines that specialises its WGSL file.

/**
 * Element types of tensors. `f16` is stored as packed pairs, so that it works on devices without `shader-f16` too. `q8`, of weights alone, is 8-bit codes of -127
 * to 127 and behind them, for each column and 32 rows (all axes but the last count as one), the value that 127 stands for in half precision.
 */
export type DType = "f32" | "f16" | "u32" | "q8";

/** How a kernel uses a binding: a tensor it reads, the tensor it writes, or a texture it loads texels of. */
export type BindingKind = "read" | "write" | "texture";

/** A compute shader, specialised: everything that decides what is compiled, and nothing else. */
export interface Kernel {
  /** `op.variant`, as `explain` prints it. */
  readonly name: string;
  /** The WGSL file's text; its entry point is `main`, its bindings are group 0 in the order of `bindings`. */
  readonly code: string;
  readonly bindings: readonly BindingKind[];
  /** WGSL extensions to enable, such as `subgroups`. */
  readonly enable?: readonly string[];
  /** Names of the members of the uniform `u`, bound after `bindings`: what a launch sets without compiling anew. */
  readonly parameters?: readonly string[];
  /** Integers become `u32`, booleans `bool`. */
  readonly constants?: Readonly<Record<string, number | boolean>>;
  /** Constants of type `f32`. */
  readonly scalars?: Readonly<Record<string, number>>;
  /**
   * Storage of the named operands. For `x: "f16"` the prelude declares `x4` (four channels in memory), `load_x4(x4) -> vec4f`
   * and `store_x4(vec4f) -> x4`, for `q8` `load_x4` of the codes as -1 to 1; kernels name their types so and run on either storage.
   */
  readonly storage?: Readonly<Record<string, "f32" | "f16" | "q8">>;
  /** Element type of a matrix kernel's operands: the prelude declares it as `operand`, and `operand_x4(x4) -> vec4<operand>` for each `x` of `storage`. */
  readonly operands?: "f32" | "f16";
}

/** The whole shader: extensions, prelude, file. */
export function assemble(kernel: Kernel): string {
  const lines = (kernel.enable ?? []).map((extension) => `enable ${extension};`);
  if (kernel.operands) lines.push(`alias operand = ${kernel.operands};`);
  for (const [name, dtype] of Object.entries(kernel.storage ?? {})) {
    lines.push(...storageLines(name, dtype));
    if (kernel.operands) lines.push(operandLine(name, dtype, kernel.operands));
  }
  for (const [name, value] of Object.entries(kernel.constants ?? {}))
    lines.push(typeof value === "boolean" ? `const ${name} = ${value};` : `const ${name} = ${value}u;`);
  for (const [name, value] of Object.entries(kernel.scalars ?? {})) lines.push(`const ${name} = f32(${value});`);
  if (kernel.parameters)
    lines.push(
      `struct Parameters { ${kernel.parameters.map((name) => `${name}: u32`).join(", ")} }`,
      `@group(0) @binding(${kernel.bindings.length}) var<uniform> u: Parameters;`,
    );
  return `${lines.join("\n")}\n${kernel.code}`;
}

/** Bytes of a kernel's uniform `u`; zero when it has none. */
export function parameterBytes(kernel: Kernel): number {
  return Math.ceil((kernel.parameters?.length ?? 0) / 4) * 16;
}

/** The bits of an f32 parameter, which the kernel recovers by `bitcast<f32>`. */
export function floatBits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]!;
}

// Packed halves rather than `vec4<f16>`: the same bytes, and the conversions are core WGSL on every device.
function storageLines(name: string, dtype: "f32" | "f16" | "q8"): string[] {
  if (dtype === "q8")
    return [`alias ${name}4 = u32;`, `fn load_${name}4(v: u32) -> vec4f { return unpack4x8snorm(v); }`];
  return dtype === "f32"
    ? [
        `alias ${name}4 = vec4f;`,
        `fn load_${name}4(v: vec4f) -> vec4f { return v; }`,
        `fn store_${name}4(v: vec4f) -> vec4f { return v; }`,
      ]
    : [
        `alias ${name}4 = vec2u;`,
        `fn load_${name}4(v: vec2u) -> vec4f { return vec4f(unpack2x16float(v.x), unpack2x16float(v.y)); }`,
        `fn store_${name}4(v: vec4f) -> vec2u { return vec2u(pack2x16float(v.xy), pack2x16float(v.zw)); }`,
      ];
}

// Halves that stay halves are not converted on the way.
function operandLine(name: string, dtype: "f32" | "f16" | "q8", operands: "f32" | "f16"): string {
  const same = dtype === "f16" && operands === "f16";
  const value = same ? "bitcast<vec4<operand>>(v)" : `vec4<operand>(load_${name}4(v))`;
  return `fn operand_${name}4(v: ${name}4) -> vec4<operand> { return ${value}; }`;
}

/** Rows that share a scale in `q8`. */
export const Q8_BLOCK = 32;

/** Bytes of a tensor in memory. */
export function bytesOf(dtype: DType, shape: readonly number[]): number {
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (dtype !== "q8") return size * (dtype === "f16" ? 2 : 4);
  const columns = shape.at(-1)!;
  return size + Math.ceil(size / columns / Q8_BLOCK) * columns * 2;
}
