import { add, matmul, pad, reshape, slice, type Tensor, transpose } from "@tsformers/engine";
import * as z from "zod";
import { axialAttention as alongAxis, rowsAbove } from "../../attention/axial/axial-attention.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

const one = z.strictObject({ axis: z.enum(["row", "column"]), causal: z.boolean() });
const both = z.strictObject({ combine: z.literal("sum") });
const composition = z.strictObject({ heads: z.int().positive() });

type Inputs = Readonly<Record<string, Tensor>>;

/**
 * Axial attention: one axis, or the sum of both, of q, k, v [B, H, R, W, D]; or the autoregressive composition over
 * x [B, R, W, C] with weights `row.W…`, `col.W…`, `inner.W…`.
 */
export const axialAttention: Mechanism = {
  run(inputs, given) {
    if (inputs.x !== undefined) return composed(inputs, composition.parse(given).heads);
    const { q, k, v } = inputs as { q: Tensor; k: Tensor; v: Tensor };
    if ("combine" in given) {
      both.parse(given);
      const along = (axis: "row" | "column") => alongAxis(q, k, v, { axis, causal: false }).mixed;
      return { out: add(along("row"), along("column")) };
    }
    return { out: alongAxis(q, k, v, one.parse(given)).mixed };
  },
};

/** Residual layers without norms and biases; the inner input is shifted right within each row. */
function composed(inputs: Inputs, heads: number): Record<string, Tensor> {
  const [batch, rows, columns, width] = inputs.x!.shape as [number, number, number, number];
  const flat = reshape(inputs.x!, [batch, rows * columns, width]);
  const grid = (x: Tensor) => reshape(x, [batch, rows, columns, width]);
  const layer = (name: string, axis: "row" | "column", causal: boolean) => (x: Tensor) => {
    const split = (matrix: string) => {
      const projected = matmul(x, inputs[`${name}.${matrix}`]!);
      return transpose(reshape(projected, [batch, rows, columns, heads, width / heads]), [0, 3, 1, 2, 4]);
    };
    const { mixed } = alongAxis(split("Wq"), split("Wk"), split("Wv"), { axis, causal });
    const joined = reshape(transpose(mixed, [0, 2, 3, 1, 4]), [batch, rows * columns, width]);
    return add(x, matmul(joined, inputs[`${name}.Wo`]!));
  };
  const context = rowsAbove(flat, columns, { row: layer("row", "row", false), column: layer("col", "column", true) });
  const none = [0, 0] as const;
  const shifted = pad(slice(inputs.x!, 2, 0, columns - 1), [none, none, [1, 0], none]);
  const h = add(reshape(shifted, [batch, rows * columns, width]), context);
  return { out: grid(layer("inner", "row", true)(h)), context: grid(context) };
}
