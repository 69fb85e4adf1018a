import { resolveAxis, type Shape, shapeText, sizeOfShape } from "../array/shape.ts";
import { asTensor, bind, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { fill } from "./iota.ts";
import type { ArrayType, Primitive, ReferenceArray } from "./primitive.ts";
import { reshape } from "./shape.ts";

type ConcatParams = { readonly axis: number };

export const concatPrimitive: Primitive<ConcatParams> = {
  name: "concat",
  type: (inputs, { axis }) => {
    const first = inputs[0]!;
    for (const other of inputs) checkBeside(first, other, axis);
    const total = inputs.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    return [{ shape: withExtent(first.shape, axis, total), dtype: first.dtype }];
  },
  gradient: ({ inputs, cotangents: [dy], params: { axis } }) =>
    split(
      dy!,
      inputs.map(({ shape }) => shape[axis]!),
      axis,
    ),
  lower: ({ graph, names, params }) => [graph.node("Concat", names, { attributes: { axis: { int: params.axis } } })],
  evaluate: (inputs, { axis }) => {
    const rows = inputs.map((input) => sizeOfShape(input.shape.slice(axis)));
    const outer = sizeOfShape(inputs[0]!.shape.slice(0, axis));
    const result = new Float64Array(inputs.reduce((sum, { data }) => sum + data.length, 0));
    let at = 0;
    for (let i = 0; i < outer; i++) {
      inputs.forEach(({ data }, j) => {
        result.set(data.subarray(i * rows[j]!, (i + 1) * rows[j]!), at);
        at += rows[j]!;
      });
    }
    return [result];
  },
};

function checkBeside(first: ArrayType, other: ArrayType, axis: number): void {
  const text = `${first.dtype}${shapeText(first.shape)} and ${other.dtype}${shapeText(other.shape)}`;
  if (first.dtype !== other.dtype) throw new TypeError(`concat: dtypes differ, ${text}; cast one of them`);
  const fits =
    first.shape.length === other.shape.length && first.shape.every((n, i) => i === axis || n === other.shape[i]);
  if (!fits) throw new RangeError(`concat: ${text} may differ at axis ${axis} only`);
}

function withExtent(shape: Shape, axis: number, extent: number): Shape {
  return shape.map((n, i) => (i === axis ? extent : n));
}

/**
 * Concatenates arrays along `axis`.
 *
 * @shape list of [..., N_i, ...] → [..., Σ N_i, ...]
 * @throws RangeError when the list is empty, or two shapes differ at an axis other than `axis`; TypeError when dtypes differ
 */
export function concat(list: readonly TensorLike[], axis: number): Tensor {
  if (list.length === 0) throw new RangeError("concat: expected at least one array, got an empty list");
  const tensors = list.map((value) => asTensor(value));
  const resolved = resolveAxis("concat", axis, tensors[0]!.shape);
  return tensors.length === 1 ? tensors[0]! : bindOne(concatPrimitive, tensors, { axis: resolved });
}

/**
 * Stacks arrays along a new axis, which is at `axis` of the result.
 *
 * @shape list of N arrays [...] → [..., N, ...]
 * @throws RangeError when the list is empty or the shapes differ
 */
export function stack(list: readonly TensorLike[], axis = 0): Tensor {
  if (list.length === 0) throw new RangeError("stack: expected at least one array, got an empty list");
  const tensors = list.map((value) => asTensor(value));
  const shape = tensors[0]!.shape;
  const at = resolveAxis("stack", axis, [...shape, 1]);
  for (const tensor of tensors) {
    if (shapeText(tensor.shape) !== shapeText(shape)) {
      throw new RangeError(
        `stack: shapes differ, ${shapeText(shape)} and ${shapeText(tensor.shape)} (new axis ${axis})`,
      );
    }
  }
  return concat(
    tensors.map((tensor) => reshape(tensor, [...shape.slice(0, at), 1, ...shape.slice(at)])),
    at,
  );
}

type SplitParams = { readonly axis: number; readonly sizes: readonly number[] };

export const splitPrimitive: Primitive<SplitParams> = {
  name: "split",
  type: ([x], { axis, sizes }) => {
    const total = sizes.reduce((sum, n) => sum + n, 0);
    if (total !== x!.shape[axis] || sizes.some((n) => !Number.isInteger(n) || n < 0)) {
      throw new RangeError(
        `split: sizes [${sizes.join(", ")}] must add up to ${x!.shape[axis]}, axis ${axis} of ${shapeText(x!.shape)}`,
      );
    }
    return sizes.map((extent) => ({ shape: withExtent(x!.shape, axis, extent), dtype: x!.dtype }));
  },
  gradient: ({ outputs, cotangents, params: { axis } }) => [
    concat(
      outputs.map(({ shape, dtype }, i) => cotangents[i] ?? fill(shape, 0, dtype)),
      axis,
    ),
  ],
  lower: ({ graph, names, params: { axis, sizes } }) =>
    graph.nodeWithOutputs("Split", [names[0]!, graph.ints(sizes)], sizes.length, {
      attributes: { axis: { int: axis } },
    }),
  evaluate: ([x], { axis, sizes }) => {
    let start = 0;
    return sizes.map((extent) => {
      const part = takeRows(x!, axis, start, extent);
      start += extent;
      return part;
    });
  },
};

function takeRows(x: ReferenceArray, axis: number, start: number, extent: number): Float64Array {
  const row = sizeOfShape(x.shape.slice(axis));
  const step = sizeOfShape(x.shape.slice(axis + 1));
  const outer = sizeOfShape(x.shape.slice(0, axis));
  const part = new Float64Array(outer * extent * step);
  for (let i = 0; i < outer; i++) {
    const from = i * row + start * step;
    part.set(x.data.subarray(from, from + extent * step), i * extent * step);
  }
  return part;
}

/**
 * Splits an array along `axis`: into a number of equal parts, or into parts of the given sizes.
 *
 * @shape x [..., Σ N_i, ...] → list of [..., N_i, ...]
 * @throws RangeError when the extent is not divisible by the number, or the sizes do not add up to it
 */
export function split(value: TensorLike, sizesOrCount: number | readonly number[], axis: number): Tensor[] {
  const x = asTensor(value);
  const at = resolveAxis("split", axis, x.shape);
  const extent = x.shape[at]!;
  if (typeof sizesOrCount === "number" && (sizesOrCount < 1 || extent % sizesOrCount !== 0)) {
    throw new RangeError(
      `split: axis ${axis} of ${shapeText(x.shape)} does not divide into ${sizesOrCount} equal parts`,
    );
  }
  const sizes =
    typeof sizesOrCount === "number" ? new Array<number>(sizesOrCount).fill(extent / sizesOrCount) : [...sizesOrCount];
  return sizes.length === 1 && sizes[0] === extent ? [x] : bind(splitPrimitive, [x], { axis: at, sizes });
}
