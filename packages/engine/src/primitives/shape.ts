import { resolveAxis, type Shape, shapesEqual, shapeText, sizeOfShape, stridesOf } from "../array/shape.ts";
import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { mapElements } from "./elementwise.ts";
import type { Primitive } from "./primitive.ts";
import { sumTo } from "./reduce.ts";

type ShapeParams = { readonly shape: Shape };

export const reshapePrimitive: Primitive<ShapeParams> = {
  name: "reshape",
  type: ([x], { shape }) => {
    if (sizeOfShape(shape) !== sizeOfShape(x!.shape)) {
      throw new RangeError(
        `reshape: ${shapeText(x!.shape)} has ${sizeOfShape(x!.shape)} elements, ${shapeText(shape)} asks for ${sizeOfShape(shape)}`,
      );
    }
    return [{ shape, dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x], cotangents: [dy] }) => [reshape(dy!, x!.shape)],
  lower: ({ graph, names, params }) => [
    graph.node("Reshape", [names[0]!, graph.ints(params.shape)], { attributes: { allowzero: { int: 1 } } }),
  ],
  evaluate: ([x]) => [x!.data],
};

/** The same elements in row-major order with another shape; one extent may be −1, and is then inferred. */
export function reshape(value: TensorLike, shape: Shape): Tensor {
  const x = asTensor(value);
  const known = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
  const resolved = shape.map((n) => (n === -1 ? sizeOfShape(x.shape) / known : n));
  if (shape.filter((n) => n === -1).length > 1 || resolved.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new RangeError(`reshape: ${shapeText(x.shape)} does not fit ${shapeText(shape)}`);
  }
  return shapesEqual(x.shape, resolved) ? x : bindOne(reshapePrimitive, [x], { shape: resolved });
}

type TransposeParams = { readonly permutation: readonly number[] };

export const transposePrimitive: Primitive<TransposeParams> = {
  name: "transpose",
  type: ([x], { permutation }) => {
    const sorted = [...permutation].sort((a, b) => a - b);
    if (sorted.length !== x!.shape.length || sorted.some((axis, i) => axis !== i)) {
      throw new RangeError(
        `transpose: [${permutation.join(", ")}] is no permutation of the axes of ${shapeText(x!.shape)}`,
      );
    }
    return [{ shape: permutation.map((axis) => x!.shape[axis]!), dtype: x!.dtype }];
  },
  gradient: ({ cotangents: [dy], params: { permutation } }) => [
    transpose(
      dy!,
      permutation.map((_, axis) => permutation.indexOf(axis)),
    ),
  ],
  lower: ({ graph, names, params }) => [
    graph.node("Transpose", names, { attributes: { perm: { ints: params.permutation } } }),
  ],
  evaluate: ([x], { permutation }, [output]) => {
    const strides = stridesOf(x!.shape);
    const outer = stridesOf(output!.shape);
    return [
      Float64Array.from(x!.data, (_, flat) => {
        const offset = permutation.reduce(
          (sum, axis, i) => sum + (Math.floor(flat / outer[i]!) % output!.shape[i]!) * strides[axis]!,
          0,
        );
        return x!.data[offset]!;
      }),
    ];
  },
};

/** Permutes axes: axis `i` of the result is axis `permutation[i]` of `x`. Default: the axes in reverse order. */
export function transpose(value: TensorLike, permutation?: readonly number[]): Tensor {
  const x = asTensor(value);
  const order =
    permutation?.map((axis) => resolveAxis("transpose", axis, x.shape)) ??
    x.shape.map((_, axis) => x.shape.length - 1 - axis);
  return order.every((axis, i) => axis === i) ? x : bindOne(transposePrimitive, [x], { permutation: order });
}

export const broadcastToPrimitive: Primitive<ShapeParams> = {
  name: "broadcastTo",
  type: ([x], { shape }) => {
    const lead = shape.length - x!.shape.length;
    if (lead < 0 || x!.shape.some((n, axis) => n !== 1 && n !== shape[axis + lead])) {
      throw new RangeError(`broadcastTo: ${shapeText(x!.shape)} does not broadcast to ${shapeText(shape)}`);
    }
    return [{ shape, dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x], cotangents: [dy] }) => [sumTo(dy!, x!.shape)],
  lower: ({ graph, names, params }) => [graph.node("Expand", [names[0]!, graph.ints(params.shape)])],
  evaluate: ([x], { shape }) => [mapElements([x!], shape, (value) => value!)],
};

/** `x` repeated along axes of extent 1 and new leading axes. */
export function broadcastTo(value: TensorLike, shape: Shape): Tensor {
  const x = asTensor(value);
  return shapesEqual(x.shape, shape) ? x : bindOne(broadcastToPrimitive, [x], { shape });
}

/** `x` with an axis of extent 1 inserted at `axis` of the result. */
export function expandDims(value: TensorLike, axis: number): Tensor {
  const x = asTensor(value);
  const at = axis < 0 ? axis + x.shape.length + 1 : axis;
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}
