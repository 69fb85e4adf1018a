import { resolveAxis, shapeText, stridesOf } from "../array/shape.ts";
import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import type { Primitive } from "./primitive.ts";

type CumsumParams = { readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean };

export const cumsumPrimitive: Primitive<CumsumParams> = {
  name: "cumsum",
  type: ([x]) => {
    if (x!.dtype === "bool" || x!.dtype === "uint8") {
      throw new TypeError(`cumsum: dtype ${x!.dtype} of ${shapeText(x!.shape)} is not supported; cast it first`);
    }
    return [{ shape: x!.shape, dtype: x!.dtype }];
  },
  gradient: ({ cotangents: [dy], params }) => [
    bindOne(cumsumPrimitive, [dy!], { ...params, reverse: !params.reverse }),
  ],
  lower: ({ graph, names, params: { axis, exclusive, reverse } }) => [
    graph.node("CumSum", [names[0]!, graph.scalar(axis, "int64")], {
      attributes: { exclusive: { int: exclusive ? 1 : 0 }, reverse: { int: reverse ? 1 : 0 } },
    }),
  ],
  evaluate: ([x], { axis, exclusive, reverse }) => {
    const stride = stridesOf(x!.shape)[axis]!;
    const extent = x!.shape[axis]!;
    const result = new Float64Array(x!.data.length);
    for (let line = 0; line < result.length / Math.max(extent, 1); line++) {
      const offset = Math.floor(line / stride) * stride * extent + (line % stride);
      let sum = 0;
      for (let i = 0; i < extent; i++) {
        const at = offset + (reverse ? extent - 1 - i : i) * stride;
        const before = sum;
        sum += x!.data[at]!;
        result[at] = exclusive ? before : sum;
      }
    }
    return [result];
  },
};

export type CumsumOptions = {
  /** Leave the element itself out of its sum. */
  readonly exclusive?: boolean;
  /** Sum from the last element to the first. */
  readonly reverse?: boolean;
};

/**
 * Running sum along `axis`: `y[i] = Σ_{j ≤ i} x[j]`; `j < i` when `exclusive`, `j ≥ i` when `reverse`.
 * @shape x [..., N, ...] → [..., N, ...]
 */
export function cumsum(
  value: TensorLike,
  axis: number,
  { exclusive = false, reverse = false }: CumsumOptions = {},
): Tensor {
  const x = asTensor(value);
  return bindOne(cumsumPrimitive, [x], { axis: resolveAxis("cumsum", axis, x.shape), exclusive, reverse });
}
