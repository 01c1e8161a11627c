// Rows of a table by number: token embeddings, and rows of any tensor that a request repeats or reorders.
import simple from "../../kernels/embedding.simple.wgsl";
import vec4 from "../../kernels/embedding.vec4.wgsl";
import { grid1d, type Launch, type Op, required, shapeError, sizeOf, storageOf, type TensorType } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of `embedding`. */
export interface EmbeddingAttributes {
  /** Storage of the result; the table's when absent. */
  readonly dtype?: "f32" | "f16";
}

/** Inputs: table [V, D...], ids [...] u32. Output: [..., D...]; an id of V or more gives zeros. */
export const embedding: Op<EmbeddingAttributes> = {
  name: "embedding",

  infer(inputs, { dtype }) {
    const table = required("embedding", "table", inputs, 0);
    const ids = required("embedding", "ids", inputs, 1);
    if (table.shape.length < 2) throw shapeError("embedding", "table", "[V, D...]", table.shape);
    expectDtype("embedding", "table", table, "f32", "f16");
    expectDtype("embedding", "ids", ids, "u32");
    return { shape: [...ids.shape, ...table.shape.slice(1)], dtype: dtype ?? table.dtype };
  },

  reference([table, ids], output) {
    const rows = table!.shape[0]!;
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
      launch: ([table], output) => ({
        kernel: specialise("vec4", vec4, table!, output),
        workgroups: grid1d(sizeOf(output) / 4, 64),
      }),
    },
    {
      name: "embedding.simple",
      suits: "any",
      unfit: (_, [table], output) => unfitForScalar(table, output),
      launch: ([table], output) => ({
        kernel: specialise("simple", simple, table!, output),
        workgroups: grid1d(sizeOf(output), 64),
      }),
    },
  ],
};

function specialise(variant: string, code: string, table: TensorType, output: TensorType): Launch["kernel"] {
  const width = sizeOf(table) / table.shape[0]!;
  return {
    name: `embedding.${variant}`,
    code,
    bindings: ["read", "read", "write"],
    storage: { table: storageOf(table), y: storageOf(output) },
    constants: { D: width, D4: Math.floor(width / 4) },
  };
}
