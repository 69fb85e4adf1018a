import type { DType } from "../array/dtype.ts";
import { resolveAxis, type Shape, shapeText, sizeOfShape, stridesOf } from "../array/shape.ts";
import { asTensor, bind, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { scatterAlongAxis } from "./gather.ts";
import { fill } from "./iota.ts";
import { noGradient, type Primitive, type ReferenceArray } from "./primitive.ts";

type TopKParams = { readonly axis: number; readonly k: number; readonly largest: boolean };

/** The elements of one line of an array along an axis, and where they are in the array. */
type Line = { readonly values: readonly number[]; readonly offset: number; readonly stride: number };

function linesAlong({ shape, data }: ReferenceArray, axis: number): Line[] {
  const stride = stridesOf(shape)[axis]!;
  const extent = shape[axis]!;
  return Array.from({ length: extent === 0 ? 0 : data.length / extent }, (_, line) => {
    const offset = Math.floor(line / stride) * stride * extent + (line % stride);
    return { values: Array.from({ length: extent }, (_, i) => data[offset + i * stride]!), offset, stride };
  });
}

function checkOrdered(name: string, dtype: DType, shape: Shape): void {
  if (dtype === "bool") throw new TypeError(`${name}: dtype bool of ${shapeText(shape)} has no order; cast it first`);
}

/** Indices that sort the elements; equal elements keep their order. */
function orderOf(values: readonly number[], largest: boolean): number[] {
  return values.map((_, i) => i).sort((i, j) => (largest ? values[j]! - values[i]! : values[i]! - values[j]!) || i - j);
}

export const topKPrimitive: Primitive<TopKParams> = {
  name: "topK",
  type: ([x], { axis, k }) => {
    checkOrdered("topK", x!.dtype, x!.shape);
    if (!Number.isInteger(k) || k < 1 || k > x!.shape[axis]!) {
      throw new RangeError(`topK: k = ${k} is outside 1 … ${x!.shape[axis]}, axis ${axis} of ${shapeText(x!.shape)}`);
    }
    const shape = x!.shape.map((n, i) => (i === axis ? k : n));
    return [
      { shape, dtype: x!.dtype },
      { shape, dtype: "int32" },
    ];
  },
  gradient: ({ inputs: [x], outputs: [, indices], cotangents: [dy], params: { axis } }) => [
    dy === undefined ? undefined : scatterAlongAxis(fill(x!.shape, 0, x!.dtype), indices!, dy, axis),
  ],
  // ONNX breaks ties by the lower index, whichever end is asked for.
  lower: ({ graph, names, params: { axis, k, largest } }) => {
    const attributes = { axis: { int: axis }, largest: { int: largest ? 1 : 0 }, sorted: { int: 1 } };
    const [values, indices] = graph.nodeWithOutputs("TopK", [names[0]!, graph.ints([k])], 2, { attributes });
    return [values!, graph.cast(indices!, "int32")];
  },
  evaluate: ([x], { axis, k, largest }) => {
    const shape = x!.shape.map((n, i) => (i === axis ? k : n));
    const values = new Float64Array(sizeOfShape(shape));
    const indices = new Float64Array(values.length);
    linesAlong(x!, axis).forEach((line, which) => {
      const start = Math.floor(which / line.stride) * line.stride * k + (which % line.stride);
      const order = orderOf(line.values, largest);
      for (let i = 0; i < k; i++) {
        values[start + i * line.stride] = line.values[order[i]!]!;
        indices[start + i * line.stride] = order[i]!;
      }
    });
    return [values, indices];
  },
};

/**
 * The `k` largest elements along `axis`, largest first, with their indices. Of equal elements the one with the lower
 * index comes first. The gradient of the values goes back to their positions in `x`.
 *
 * @shape x [..., N, ...] → values [..., k, ...], indices int32 [..., k, ...]
 * @throws RangeError when k is not in 1 … N
 */
export function topK(value: TensorLike, k: number, axis = -1): { values: Tensor; indices: Tensor } {
  return extremes("topK", asTensor(value), k, axis, true);
}

function extremes(
  caller: string,
  x: Tensor,
  k: number,
  axis: number,
  largest: boolean,
): { values: Tensor; indices: Tensor } {
  checkOrdered(caller, x.dtype, x.shape);
  const [values, indices] = bind(topKPrimitive, [x], { axis: resolveAxis(caller, axis, x.shape), k, largest });
  return { values: values!, indices: indices! };
}

export type SortOptions = { readonly descending?: boolean };

/**
 * Sorts along `axis`. Default: ascending. NaN has no defined place in the order.
 * @shape x [..., N, ...] → [..., N, ...]
 */
export function sort(value: TensorLike, axis = -1, { descending = false }: SortOptions = {}): Tensor {
  const x = asTensor(value);
  const extent = x.shape[resolveAxis("sort", axis, x.shape)]!;
  return extent === 0 ? x : extremes("sort", x, extent, axis, descending).values;
}

/**
 * Indices that sort `x` along `axis`; equal elements keep their order, also with `descending`.
 * @shape x [..., N, ...] → int32 [..., N, ...]
 */
export function argsort(value: TensorLike, axis = -1, { descending = false }: SortOptions = {}): Tensor {
  const x = asTensor(value);
  const extent = x.shape[resolveAxis("argsort", axis, x.shape)]!;
  return extent === 0 ? fill(x.shape, 0, "int32") : extremes("argsort", x, extent, axis, descending).indices;
}

type AxisParams = { readonly axis: number };

function argPrimitive(name: string, op: string, largest: boolean): Primitive<AxisParams> {
  return {
    name,
    type: ([x], { axis }) => {
      checkOrdered(name, x!.dtype, x!.shape);
      if (x!.shape[axis] === 0) throw new RangeError(`${name}: axis ${axis} of ${shapeText(x!.shape)} is empty`);
      return [{ shape: x!.shape.filter((_, i) => i !== axis), dtype: "int32" }];
    },
    gradient: noGradient,
    lower: ({ graph, names, params: { axis } }) => {
      const attributes = { axis: { int: axis }, keepdims: { int: 0 }, select_last_index: { int: 0 } };
      return [graph.cast(graph.node(op, names, { attributes }), "int32")];
    },
    evaluate: ([x], { axis }) => [
      Float64Array.from(linesAlong(x!, axis), ({ values }) =>
        values.indexOf((largest ? Math.max : Math.min)(...values)),
      ),
    ],
  };
}

export const argmaxPrimitive: Primitive<AxisParams> = argPrimitive("argmax", "ArgMax", true);
export const argminPrimitive: Primitive<AxisParams> = argPrimitive("argmin", "ArgMin", false);

/**
 * Index of the largest element along `axis`, the first if there are several. No gradient.
 * @shape x [..., N, ...] → int32 [..., ...]
 */
export function argmax(value: TensorLike, axis = -1): Tensor {
  const x = asTensor(value);
  return bindOne(argmaxPrimitive, [x], { axis: resolveAxis("argmax", axis, x.shape) });
}

/**
 * Index of the smallest element along `axis`, the first if there are several. No gradient.
 * @shape x [..., N, ...] → int32 [..., ...]
 */
export function argmin(value: TensorLike, axis = -1): Tensor {
  const x = asTensor(value);
  return bindOne(argminPrimitive, [x], { axis: resolveAxis("argmin", axis, x.shape) });
}
