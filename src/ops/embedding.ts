// Rows of a table by number: token embeddings, and rows of any tensor that a request repeats or reorders.
import simple from "../../kernels/embedding.simple.wgsl";
import vec4 from "../../kernels/embedding.vec4.wgsl";
import { grid1d, type Launch, type Op, required, shapeError, sizeOf, storageOf, type TensorType } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of `embedding`. */
export interface EmbeddingAttributes {
  /** How many leading axes of the table count its rows, 1 when absent: 2 picks tokens out of [texts, tokens, D]. */
  readonly rowAxes?: number;
  /** Storage of the result; the table's when absent. */
  readonly dtype?: "f32" | "f16";
}

/** Inputs: table [V, D...] (V of several axes where `rowAxes` says so), ids [...] u32. Output: [..., D...]; an id of V or more gives zeros. */
export const embedding: Op<EmbeddingAttributes> = {
  name: "embedding",

  infer(inputs, { dtype, rowAxes = 1 }) {
    const table = required("embedding", "table", inputs, 0);
    const ids = required("embedding", "ids", inputs, 1);
    if (table.shape.length <= rowAxes)
      throw shapeError("embedding", "table", `[V, D...] with V of ${rowAxes} axes`, table.shape);
    expectDtype("embedding", "table", table, "f32", "f16");
    expectDtype("embedding", "ids", ids, "u32");
    return { shape: [...ids.shape, ...table.shape.slice(rowAxes)], dtype: dtype ?? table.dtype };
  },

  reference([table, ids], output, attributes) {
    const rows = rowsOf(table!, attributes);
    const width = table!.data.length / rows;
    const y = new Float64Array(sizeOf(output));
    for (const [i, id] of ids!.data.entries())
      if (id < rows) y.set(table!.data.subarray(id * width, (id + 1) * width), i * width);
    return y;
  },

  variants: [
    {
      name: "embedding.vec4",
      suits: "any",
      unfit: (_, [table]) => unfitForVec4(table),
      launch: ([table], output, attributes) => ({
        kernel: specialise("vec4", vec4, table!, output),
        workgroups: grid1d(sizeOf(output) / 4, 64),
        parameters: [sizeOf(table!) / rowsOf(table!, attributes) / 4],
      }),
    },
    {
      name: "embedding.simple",
      suits: "any",
      unfit: (_, [table], output) => unfitForScalar(table, output),
      launch: ([table], output, attributes) => ({
        kernel: specialise("simple", simple, table!, output),
        workgroups: grid1d(sizeOf(output), 64),
        parameters: [sizeOf(table!) / rowsOf(table!, attributes)],
      }),
    },
  ],
};

function rowsOf({ shape }: { readonly shape: readonly number[] }, { rowAxes = 1 }: EmbeddingAttributes): number {
  return shape.slice(0, rowAxes).reduce((product, extent) => product * extent, 1);
}

function specialise(variant: string, code: string, table: TensorType, output: TensorType): Launch["kernel"] {
  return {
    name: `embedding.${variant}`,
    code,
    bindings: ["read", "read", "write"],
    storage: { table: storageOf(table), y: storageOf(output) },
    parameters: ["WIDTH"],
  };
}
