import { type DType, isFloat } from "../array/dtype.ts";
import { broadcastShapes, type Shape, shapeText, sizeOfShape, stridesOf } from "../array/shape.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import { asTensor, asTensors, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import type { ArrayType, Primitive, ReferenceArray } from "./primitive.ts";
import { sumTo } from "./reduce.ts";

/** Parameters of primitives that have none. */
export type NoParams = Readonly<Record<string, never>>;
export const none: NoParams = {};

/** What distinguishes one elementwise primitive from another; the factories below add the rest. */
export type UnaryRules = {
  readonly name: string;
  readonly evaluate: (x: number) => number;
  readonly onnx: (graph: GraphBuilder, x: string, type: ArrayType) => string;
  /** d loss / d x from the incoming gradient, input and output; absent for functions without a gradient. */
  readonly gradient?: (dy: Tensor, x: Tensor, y: Tensor) => Tensor;
  readonly accepts?: (dtype: DType) => boolean;
  readonly gives?: DType;
};

export function unaryPrimitive(rules: UnaryRules): Primitive<NoParams> {
  const { name, evaluate, onnx, gradient, accepts = isFloat, gives } = rules;
  return {
    name,
    type: ([x]) => {
      if (!accepts(x!.dtype))
        throw new TypeError(`${name}: dtype ${x!.dtype} of ${shapeText(x!.shape)} is not supported`);
      return [{ shape: x!.shape, dtype: gives ?? x!.dtype }];
    },
    gradient: ({ inputs, outputs, cotangents }) => [gradient?.(cotangents[0]!, inputs[0]!, outputs[0]!)],
    lower: ({ graph, names, inputs }) => [onnx(graph, names[0]!, inputs[0]!)],
    evaluate: ([x]) => [x!.data.map(evaluate)],
  };
}

export type BinaryRules = {
  readonly name: string;
  readonly evaluate: (a: number, b: number, dtype: DType) => number;
  readonly onnx: string | ((graph: GraphBuilder, a: string, b: string, type: ArrayType) => string);
  /** Gradients before summing over broadcast axes; absent for functions without a gradient. */
  readonly gradient?: readonly [
    (dy: Tensor, a: Tensor, b: Tensor, y: Tensor) => Tensor,
    (dy: Tensor, a: Tensor, b: Tensor, y: Tensor) => Tensor,
  ];
  readonly accepts?: (dtype: DType) => boolean;
  readonly gives?: DType;
};

export function binaryPrimitive(rules: BinaryRules): Primitive<NoParams> {
  const { name, evaluate, onnx, gradient, accepts = (dtype) => dtype !== "bool", gives } = rules;
  return {
    name,
    type: ([a, b]) => {
      const shape = broadcastShapes(name, a!.shape, b!.shape);
      if (a!.dtype !== b!.dtype) {
        throw new TypeError(
          `${name}: dtypes differ, ${a!.dtype}${shapeText(a!.shape)} and ${b!.dtype}${shapeText(b!.shape)}; cast one of them`,
        );
      }
      if (!accepts(a!.dtype)) throw new TypeError(`${name}: dtype ${a!.dtype} is not supported`);
      return [{ shape, dtype: gives ?? a!.dtype }];
    },
    gradient: ({ inputs, outputs, cotangents, wanted }) =>
      inputs.map((input, i) => {
        const rule = gradient?.[i as 0 | 1];
        if (!wanted[i] || rule === undefined) return undefined;
        return sumTo(rule(cotangents[0]!, inputs[0]!, inputs[1]!, outputs[0]!), input.shape);
      }),
    lower: ({ graph, names, inputs }) => [
      typeof onnx === "string" ? graph.node(onnx, names) : onnx(graph, names[0]!, names[1]!, inputs[0]!),
    ],
    evaluate: ([a, b], _, [output]) => [mapElements([a!, b!], output!.shape, (x, y) => evaluate(x!, y!, a!.dtype))],
  };
}

/** Applies `f` to the elements of arrays that broadcast to `shape`. */
export function mapElements(
  arrays: readonly ReferenceArray[],
  shape: Shape,
  f: (...elements: number[]) => number,
): Float64Array {
  const offsets = arrays.map((array) => broadcastOffsets(array.shape, shape));
  return Float64Array.from({ length: sizeOfShape(shape) }, (_, i) =>
    f(...arrays.map((array, j) => array.data[offsets[j]!(i)]!)),
  );
}

/** Maps a flat index into `to` to the flat index into `from`, which broadcasts to it. */
export function broadcastOffsets(from: Shape, to: Shape): (flat: number) => number {
  const strides = stridesOf(from);
  const outer = stridesOf(to);
  const lead = to.length - from.length;
  return (flat) => {
    let offset = 0;
    for (let axis = 0; axis < from.length; axis++) {
      if (from[axis] !== 1) offset += (Math.floor(flat / outer[axis + lead]!) % to[axis + lead]!) * strides[axis]!;
    }
    return offset;
  };
}

export function unary(primitive: Primitive<NoParams>): (x: TensorLike) => Tensor {
  return (x) => bindOne(primitive, [asTensor(x)], none);
}

export function binary(primitive: Primitive<NoParams>): (a: TensorLike, b: TensorLike) => Tensor {
  return (a, b) => bindOne(primitive, asTensors(a, b), none);
}

/** The ONNX lowering of a function that corresponds to one standard operator. */
export function operator(op: string): (graph: GraphBuilder, x: string) => string {
  return (graph, x) => graph.node(op, [x]);
}
