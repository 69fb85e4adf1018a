import { NDArray } from "../array/nd-array.ts";
import { resolveAxis, type Shape, shapesEqual, sizeOfShape } from "../array/shape.ts";
import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { add, div, mul, sub } from "./arithmetic.ts";
import { cast } from "./cast.ts";
import { equal } from "./comparison.ts";
import { broadcastOffsets } from "./elementwise.ts";
import { exp, log } from "./exponential.ts";
import { stopGradient } from "./identity.ts";
import type { LoweringContext, Primitive, ReferenceArray } from "./primitive.ts";
import { broadcastTo, reshape } from "./shape.ts";

/** Axes that a reduction removes, resolved and sorted; with `keepDims` they remain with extent 1. */
export type ReduceParams = { readonly axes: readonly number[]; readonly keepDims: boolean };

export type ReduceOptions = { readonly axes?: number | readonly number[]; readonly keepDims?: boolean };

function reducedShape(shape: Shape, { axes, keepDims }: ReduceParams): number[] {
  if (keepDims) return shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  return shape.filter((_, axis) => !axes.includes(axis));
}

function reductionPrimitive(
  name: string,
  op: string,
  start: number,
  step: (sum: number, x: number) => number,
  gradient: (dy: Tensor, x: Tensor, y: Tensor, axes: readonly number[]) => Tensor,
): Primitive<ReduceParams> {
  return {
    name,
    type: ([x], params) => {
      if (x!.dtype === "bool" || x!.dtype === "uint8")
        throw new TypeError(`${name}: dtype ${x!.dtype} is not supported; cast first`);
      return [{ shape: reducedShape(x!.shape, params), dtype: x!.dtype }];
    },
    gradient: ({ inputs: [x], outputs: [y], cotangents: [dy], params }) => {
      const kept = reducedShape(x!.shape, { ...params, keepDims: true });
      return [gradient(reshape(dy!, kept), x!, reshape(y!, kept), params.axes)];
    },
    lower: ({ graph, names, params }) => [
      graph.node(op, [names[0]!, graph.ints(params.axes)], {
        attributes: { keepdims: { int: params.keepDims ? 1 : 0 } },
      }),
    ],
    evaluate: ([x], params) => [reduceElements(x!, params.axes, start, step)],
  };
}

/** Reduces the elements along `axes` by a fold. */
export function reduceElements(
  x: ReferenceArray,
  axes: readonly number[],
  start: number,
  step: (sum: number, x: number) => number,
): Float64Array {
  const kept = reducedShape(x.shape, { axes, keepDims: true });
  const result = new Float64Array(sizeOfShape(kept)).fill(start);
  const target = broadcastOffsets(kept, x.shape);
  x.data.forEach((value, i) => {
    result[target(i)] = step(result[target(i)]!, value);
  });
  return result;
}

const sumRules = reductionPrimitive(
  "sum",
  "ReduceSum",
  0,
  (sum, x) => sum + x,
  (dy, x) => broadcastTo(dy, x.shape),
);

export const sumPrimitive: Primitive<ReduceParams> = {
  ...sumRules,
  lower: (context) => (sumsColumns(context) ? [lowerColumnSum(context)] : sumRules.lower(context)),
};

/** Whether a sum runs over all but the last axis of a large float32 array, as the gradients of biases do. */
function sumsColumns({ inputs: [x], params: { axes } }: LoweringContext<ReduceParams>): boolean {
  const leading = axes.length === x!.shape.length - 1 && axes.every((axis, i) => axis === i);
  return leading && x!.dtype === "float32" && sizeOfShape(x!.shape.slice(0, -1)) >= 16;
}

/** In ONNX Runtime, a product with a row of ones is four times faster than a reduction over leading axes. */
function lowerColumnSum({ graph, names, inputs: [x], outputs: [y] }: LoweringContext<ReduceParams>): string {
  const rows = sizeOfShape(x!.shape.slice(0, -1));
  const ones = graph.constant(new NDArray([1, rows], "float32", new Float32Array(rows).fill(1)));
  const flat =
    x!.shape.length === 2 ? names[0]! : graph.node("Reshape", [names[0]!, graph.ints([rows, x!.shape.at(-1)!])]);
  return graph.node("Reshape", [graph.node("MatMul", [ones, flat]), graph.ints(y!.shape)]);
}

/** Ties share the gradient equally, like the limit of a smooth maximum. */
function extremeGradient(dy: Tensor, x: Tensor, y: Tensor, axes: readonly number[]): Tensor {
  const hit = cast(equal(x, y), x.dtype);
  return mul(hit, div(dy, sum(hit, { axes, keepDims: true })));
}

export const maxPrimitive: Primitive<ReduceParams> = reductionPrimitive(
  "max",
  "ReduceMax",
  Number.NEGATIVE_INFINITY,
  Math.max,
  extremeGradient,
);

export const minPrimitive: Primitive<ReduceParams> = reductionPrimitive(
  "min",
  "ReduceMin",
  Number.POSITIVE_INFINITY,
  Math.min,
  extremeGradient,
);

function reduction(primitive: Primitive<ReduceParams>): (x: TensorLike, options?: ReduceOptions) => Tensor {
  return (value, options = {}) => {
    const x = asTensor(value);
    const params = { axes: resolveAxes(primitive.name, options.axes, x.shape), keepDims: options.keepDims ?? false };
    return params.axes.length === 0 ? x : bindOne(primitive, [x], params);
  };
}

function resolveAxes(caller: string, axes: ReduceOptions["axes"], shape: Shape): number[] {
  if (axes === undefined) return shape.map((_, axis) => axis);
  const list = typeof axes === "number" ? [axes] : axes;
  return [...new Set(list.map((axis) => resolveAxis(caller, axis, shape)))].sort((a, b) => a - b);
}

/** Sum over `axes`. Default: all. */
export const sum: (x: TensorLike, options?: ReduceOptions) => Tensor = reduction(sumPrimitive);

/** Largest element along `axes`. Default: all. */
export const max: (x: TensorLike, options?: ReduceOptions) => Tensor = reduction(maxPrimitive);

/** Smallest element along `axes`. Default: all. */
export const min: (x: TensorLike, options?: ReduceOptions) => Tensor = reduction(minPrimitive);

/** Mean over `axes`. Default: all. */
export function mean(value: TensorLike, options: ReduceOptions = {}): Tensor {
  const x = asTensor(value);
  const count = resolveAxes("mean", options.axes, x.shape).reduce((product, axis) => product * x.shape[axis]!, 1);
  return mul(sum(x, options), 1 / count);
}

/** Variance over `axes`: the mean squared distance from the mean, without Bessel's correction. Default: all. */
export function variance(value: TensorLike, options: ReduceOptions = {}): Tensor {
  const x = asTensor(value);
  const centred = sub(x, mean(x, { ...options, keepDims: true }));
  return mean(mul(centred, centred), options);
}

/** `log Σ eˣ` over `axes`, without overflow. Default: all. */
export function logSumExp(value: TensorLike, options: ReduceOptions = {}): Tensor {
  const x = asTensor(value);
  const peak = stopGradient(max(x, { ...options, keepDims: true }));
  const total = add(log(sum(exp(sub(x, peak)), { ...options, keepDims: true })), peak);
  return options.keepDims
    ? total
    : reshape(total, reducedShape(x.shape, { axes: resolveAxes("logSumExp", options.axes, x.shape), keepDims: false }));
}

/** Gradient of broadcasting: sums over the axes along which `shape` was broadcast to `x`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (shapesEqual(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < lead || (shape[axis - lead] === 1 && x.shape[axis] !== 1));
  return reshape(sum(x, { axes }), shape);
}
