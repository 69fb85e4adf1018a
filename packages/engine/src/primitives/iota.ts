import type { DType } from "../array/dtype.ts";
import { resolveAxis, type Shape, shapeText, sizeOfShape, stridesOf } from "../array/shape.ts";
import { asTensor, bindOne, constant, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { cast } from "./cast.ts";
import { equal } from "./comparison.ts";
import { type ArrayType, noGradient, type Primitive } from "./primitive.ts";
import { broadcastTo, reshape } from "./shape.ts";

type IotaParams = { readonly shape: Shape; readonly axis: number; readonly dtype: DType };

export const iotaPrimitive: Primitive<IotaParams> = {
  name: "iota",
  type: (_, { shape, dtype }) => {
    if (dtype === "bool" || dtype === "uint8") throw new TypeError(`iota: dtype ${dtype} is not supported`);
    if (shape.some((n) => !Number.isInteger(n) || n < 0)) {
      throw new RangeError(`iota: expected extents that are integers ≥ 0, got ${shapeText(shape)}`);
    }
    return [{ shape, dtype }];
  },
  gradient: noGradient,
  lower: ({ graph, params: { shape, axis, dtype } }) => {
    // Range does not support float16. The model stays small because the elements are made when it is loaded.
    const counted = dtype === "float16" ? "float32" : dtype;
    const [start, stop, step] = [0, shape[axis]!, 1].map((n) => graph.scalar(n, counted));
    const range = graph.node("Range", [start!, stop!, step!]);
    const line = counted === dtype ? range : graph.cast(range, dtype);
    if (shape.length === 1) return [line];
    const placed = graph.ints(shape.map((n, i) => (i === axis ? n : 1)));
    const column = graph.node("Reshape", [line, placed], { attributes: { allowzero: { int: 1 } } });
    return [graph.node("Expand", [column, graph.ints(shape)])];
  },
  evaluate: (_, { shape, axis }) => {
    const stride = stridesOf(shape)[axis]!;
    return [Float64Array.from({ length: sizeOfShape(shape) }, (_, flat) => Math.floor(flat / stride) % shape[axis]!)];
  },
};

/**
 * 0, 1, 2, … along one axis: every element is its index along that axis.
 *
 * @shape → [N] for a length N, or the shape given
 */
export function iota(shape: number | Shape, axis = 0, dtype: DType = "int32"): Tensor {
  const extents = typeof shape === "number" ? [shape] : shape;
  return bindOne(iotaPrimitive, [], { shape: extents, axis: resolveAxis("iota", axis, extents), dtype });
}

/** `value` in every element of `shape`. @shape → shape */
export function fill(shape: Shape, value: number, dtype: DType = "float32"): Tensor {
  return broadcastTo(constant(value, dtype), shape);
}

/** 0 in every element. @shape → shape */
export function zeros(shape: Shape, dtype: DType = "float32"): Tensor {
  return fill(shape, 0, dtype);
}

/** 0 in every element, of the shape and dtype of another array. */
export function zerosLike({ shape, dtype }: ArrayType): Tensor {
  return zeros(shape, dtype);
}

/** 1 in every element. @shape → shape */
export function ones(shape: Shape, dtype: DType = "float32"): Tensor {
  return fill(shape, 1, dtype);
}

/**
 * One-hot rows: a 1 at each index and 0 elsewhere; all 0 for an index outside `0 … depth − 1`.
 *
 * @shape indices int32 [...] → [..., depth]
 * @throws TypeError when the indices are not integers
 */
export function oneHot(indices: TensorLike, depth: number, dtype: DType = "float32"): Tensor {
  const at = asTensor(indices, "int32");
  if (at.dtype !== "int32" && at.dtype !== "int64") {
    throw new TypeError(`oneHot: indices must be int32 or int64, got ${at} (depth ${depth})`);
  }
  return cast(equal(reshape(at, [...at.shape, 1]), iota(depth, 0, at.dtype)), dtype);
}
