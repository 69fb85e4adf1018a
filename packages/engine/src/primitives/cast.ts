import { type DType, isFloat } from "../array/dtype.ts";
import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import type { Primitive } from "./primitive.ts";

type CastParams = { readonly dtype: DType };

export const castPrimitive: Primitive<CastParams> = {
  name: "cast",
  type: ([x], { dtype }) => [{ shape: x!.shape, dtype }],
  gradient: ({ inputs: [x], cotangents: [dy], params }) => [
    isFloat(x!.dtype) && isFloat(params.dtype) ? cast(dy!, x!.dtype) : undefined,
  ],
  lower: ({ graph, names, params }) => [graph.cast(names[0]!, params.dtype)],
  evaluate: ([x], { dtype }) => [convertElements(x!.data, dtype)],
};

/** The same elements as another dtype: floats to integers truncate towards zero, anything to bool is `≠ 0`. */
export function cast(value: TensorLike, dtype: DType): Tensor {
  const x = asTensor(value, dtype);
  return x.dtype === dtype ? x : bindOne(castPrimitive, [x], { dtype });
}

function convertElements(data: Float64Array, dtype: DType): Float64Array {
  if (dtype === "bool") return data.map((x) => (x !== 0 ? 1 : 0));
  if (isFloat(dtype)) return data;
  return data.map(Math.trunc);
}
