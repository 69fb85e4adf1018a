import { resolveAxis, shapesEqual, shapeText, sizeOfShape, stridesOf } from "../array/shape.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { zeros } from "./iota.ts";
import type { ArrayType, Primitive, ReferenceArray } from "./primitive.ts";
import { transpose } from "./shape.ts";

type AxisParams = { readonly axis: number };

function checkIndices(name: string, indices: ArrayType): void {
  if (indices.dtype !== "int32" && indices.dtype !== "int64") {
    throw new TypeError(`${name}: indices must be int32 or int64, got ${indices.dtype}${shapeText(indices.shape)}`);
  }
}

export const gatherPrimitive: Primitive<AxisParams> = {
  name: "gather",
  type: ([x, indices], { axis }) => {
    checkIndices("gather", indices!);
    return [{ shape: [...x!.shape.slice(0, axis), ...indices!.shape, ...x!.shape.slice(axis + 1)], dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x, indices], cotangents: [dy], params: { axis } }) => {
    const count = indices!.shape.length;
    const front = dy!.shape.map((_, i) => i);
    const order = [...front.slice(axis, axis + count), ...front.slice(0, axis), ...front.slice(axis + count)];
    const rest = [...x!.shape.slice(0, axis), ...x!.shape.slice(axis + 1)];
    const nothing = zeros([x!.shape[axis]!, ...rest], x!.dtype);
    const rows = bindOne(scatterAddPrimitive, [nothing, indices!, transpose(dy!, order)], { inRange: true });
    const back = [...rest.slice(0, axis).map((_, i) => i + 1), 0, ...rest.slice(axis).map((_, i) => i + axis + 1)];
    return [transpose(rows, back), undefined];
  },
  lower: ({ graph, names, params }) => [graph.node("Gather", names, { attributes: { axis: { int: params.axis } } })],
  evaluate: ([x, indices], { axis }, [output]) => {
    const inner = sizeOfShape(x!.shape.slice(axis + 1));
    const count = sizeOfShape(indices!.shape);
    return [
      Float64Array.from({ length: sizeOfShape(output!.shape) }, (_, flat) => {
        const outer = Math.floor(flat / (inner * count));
        const index = rowOf("gather", indices!.data[Math.floor(flat / inner) % count]!, x!.shape[axis]!);
        return x!.data[(outer * x!.shape[axis]! + index) * inner + (flat % inner)]!;
      }),
    ];
  },
};

/**
 * Rows of `x` along `axis` at `indices`, for example an embedding look-up.
 *
 * @shape x [..., N, ...], indices [I...] int → [..., I..., ...]; negative indices count from the end
 */
export function gather(value: TensorLike, indices: TensorLike, axis = 0): Tensor {
  const x = asTensor(value);
  return bindOne(gatherPrimitive, [x, asTensor(indices, "int32")], { axis: resolveAxis("gather", axis, x.shape) });
}

/** `inRange`: the indices are known to name rows, since rows were read at them. */
type ScatterParams = { readonly inRange?: true };

/** Scatters updates into rows: adds them to the rows of x at the indices, or replaces these rows. */
function scatterPrimitive(
  name: string,
  reduction: "add" | "none",
  gradientOfRows: (dy: Tensor, indices: Tensor) => Tensor,
  lower: Primitive<ScatterParams>["lower"],
): Primitive<ScatterParams> {
  return {
    name,
    type: ([x, indices, updates]) => {
      checkIndices(name, indices!);
      const expected = [...indices!.shape, ...x!.shape.slice(1)];
      if (!shapesEqual(updates!.shape, expected) || updates!.dtype !== x!.dtype) {
        throw new RangeError(
          `${name}: ${x!.dtype}${shapeText(x!.shape)} at indices ${shapeText(indices!.shape)} takes updates ${x!.dtype}${shapeText(expected)}, got ${updates!.dtype}${shapeText(updates!.shape)}`,
        );
      }
      return [x!];
    },
    gradient: ({ inputs: [, indices], cotangents: [dy], wanted }) => [
      wanted[0] ? gradientOfRows(dy!, indices!) : undefined,
      undefined,
      wanted[2] ? gather(dy!, indices!) : undefined,
    ],
    lower,
    evaluate: ([x, indices, updates]) => {
      const result = Float64Array.from(x!.data);
      const inner = sizeOfShape(x!.shape.slice(1));
      updates!.data.forEach((value, i) => {
        const row = rowOf(name, indices!.data[Math.floor(i / inner)]!, x!.shape[0]!);
        const at = row * inner + (i % inner);
        result[at] = reduction === "add" ? result[at]! + value : value;
      });
      return [result];
    },
  };
}

export const scatterAddPrimitive: Primitive<ScatterParams> = scatterPrimitive(
  "scatterAdd",
  "add",
  (dy) => dy,
  // ONNX Runtime's ScatterND adds rows in several threads at once and loses some updates of repeated rows; ScatterElements does not.
  ({ graph, names: [data, at, updates], inputs: [x, indices], params }) => {
    const [count, inner] = [sizeOfShape(indices!.shape), sizeOfShape(x!.shape.slice(1))];
    const isDense = x!.dtype === "float32" && x!.shape[0]! <= fewRows && count > x!.shape[0]!;
    if (params.inRange && isDense && !graph.options.portable)
      return [addByProduct(graph, [data!, at!, updates!], x!, indices!)];
    // The same rows are read by several gathers, as those of queries, keys and values are.
    const places = graph.once(`places of ${at} in ${count} × ${inner}`, () => {
      const column = graph.node("Reshape", [at!, graph.ints([count, 1])]);
      return graph.node("Expand", [column, graph.ints([count, inner])]);
    });
    const flat = (name: string, rows: number) => graph.node("Reshape", [name, graph.ints([rows, inner])]);
    const given = [flat(data!, x!.shape[0]!), "", flat(updates!, count)];
    const sums = addingIn32Bits(graph, x!, given, (data, updates) =>
      graph.node("ScatterElements", [data, places, updates], {
        attributes: { axis: { int: 0 }, reduction: { string: "add" } },
      }),
    );
    return [graph.node("Reshape", [sums, graph.ints(x!.shape)])];
  },
);

/** Up to so many rows, a product with zeros and ones is faster than adding row after row, which one thread does. */
const fewRows = 256;

function addByProduct(
  graph: GraphBuilder,
  [data, at, updates]: readonly [string, string, string],
  x: ArrayType,
  indices: ArrayType,
): string {
  const [rows, count, inner] = [x.shape[0]!, sizeOfShape(indices.shape), sizeOfShape(x.shape.slice(1))];
  // In 32 bits, which WebGPU compares, too.
  const narrow = (name: string) => graph.cast(name, "int32");
  const given = graph.node("Reshape", [indices.dtype === "int32" ? at : narrow(at), graph.ints([1, count])]);
  const isBehind = graph.node("Less", [given, graph.scalar(0, "int32")]);
  const named = graph.node("Where", [isBehind, graph.node("Add", [given, graph.scalar(rows, "int32")]), given]);
  const places = graph.ints(Array.from({ length: rows }, (_, row) => row));
  const all = graph.node("Reshape", [narrow(places), graph.ints([rows, 1])]);
  const chosen = graph.cast(graph.node("Equal", [all, named]), "float32");
  const sums = graph.node("MatMul", [chosen, graph.node("Reshape", [updates, graph.ints([count, inner])])]);
  return graph.node("Add", [data, graph.node("Reshape", [sums, graph.ints(x.shape)])]);
}

/**
 * `x` with `updates` added to its rows at `indices`; rows that occur several times receive every update.
 *
 * @shape x [N, ...], indices [I...] int, updates [I..., ...] → [N, ...]
 */
export function scatterAdd(x: TensorLike, indices: TensorLike, updates: TensorLike): Tensor {
  return bindOne(scatterAddPrimitive, [asTensor(x), asTensor(indices, "int32"), asTensor(updates)], {});
}

export const scatterSetPrimitive: Primitive<ScatterParams> = scatterPrimitive(
  "scatterSet",
  "none",
  (dy, indices) => scatterSet(dy, indices, zeros([...indices.shape, ...dy.shape.slice(1)], dy.dtype)),
  ({ graph, names: [data, at, updates], inputs: [, indices] }) => {
    const column = graph.node("Reshape", [at!, graph.ints([...indices!.shape, 1])]);
    const rows = indices!.dtype === "int64" ? column : graph.cast(column, "int64");
    return [graph.node("ScatterND", [data!, rows, updates!])];
  },
);

/**
 * `x` with its rows at `indices` replaced by `updates`. Indices must be distinct: otherwise it is undefined which update is kept.
 *
 * @shape x [N, ...], indices [I...] int, updates [I..., ...] → [N, ...]
 */
export function scatterSet(x: TensorLike, indices: TensorLike, updates: TensorLike): Tensor {
  return bindOne(scatterSetPrimitive, [asTensor(x), asTensor(indices, "int32"), asTensor(updates)], {});
}

function checkAlong(name: string, x: ArrayType, indices: ArrayType, axis: number): void {
  checkIndices(name, indices);
  const fits = x.shape.length === indices.shape.length && x.shape.every((n, i) => i === axis || n === indices.shape[i]);
  if (!fits)
    throw new RangeError(
      `${name}: ${shapeText(x.shape)} and indices ${shapeText(indices.shape)} may differ at axis ${axis} only`,
    );
}

export const takeAlongAxisPrimitive: Primitive<AxisParams> = {
  name: "takeAlongAxis",
  type: ([x, indices], { axis }) => {
    checkAlong("takeAlongAxis", x!, indices!, axis);
    return [{ shape: indices!.shape, dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x, indices], cotangents: [dy], params: { axis } }) => [
    scatterAlongAxis(zeros(x!.shape, x!.dtype), indices!, dy!, axis),
    undefined,
  ],
  lower: ({ graph, names, params }) => [
    graph.node("GatherElements", names, { attributes: { axis: { int: params.axis } } }),
  ],
  evaluate: ([x, indices], { axis }) => [
    Float64Array.from(indices!.data, (_, flat) => x!.data[offsetAlong("takeAlongAxis", x!, indices!, axis, flat)]!),
  ],
};

/**
 * One element of `x` per index, the other axes matched: `y[i, j] = x[i, indices[i, j]]` for axis 1.
 *
 * @shape x [..., N, ...], indices [..., K, ...] int → [..., K, ...]
 */
export function takeAlongAxis(value: TensorLike, indices: TensorLike, axis = -1): Tensor {
  const x = asTensor(value);
  return bindOne(takeAlongAxisPrimitive, [x, asTensor(indices, "int32")], {
    axis: resolveAxis("takeAlongAxis", axis, x.shape),
  });
}

export const scatterAlongAxisPrimitive: Primitive<AxisParams> = {
  name: "scatterAlongAxis",
  type: ([x, indices, updates], { axis }) => {
    checkAlong("scatterAlongAxis", x!, indices!, axis);
    if (!shapesEqual(indices!.shape, updates!.shape) || updates!.dtype !== x!.dtype) {
      throw new RangeError(
        `scatterAlongAxis: updates ${updates!.dtype}${shapeText(updates!.shape)} must be ${x!.dtype}${shapeText(indices!.shape)} as the indices are`,
      );
    }
    return [x!];
  },
  gradient: ({ inputs: [, indices], cotangents: [dy], params: { axis }, wanted }) => [
    wanted[0] ? dy : undefined,
    undefined,
    wanted[2] ? takeAlongAxis(dy!, indices!, axis) : undefined,
  ],
  lower: ({ graph, names, inputs: [x], params }) => [
    addingIn32Bits(graph, x!, names, (data, updates) =>
      graph.node("ScatterElements", [data, names[1]!, updates], {
        attributes: { axis: { int: params.axis }, reduction: { string: "add" } },
      }),
    ),
  ],
  evaluate: ([x, indices, updates], { axis }) => {
    const result = Float64Array.from(x!.data);
    updates!.data.forEach((value, flat) => {
      const offset = offsetAlong("scatterAlongAxis", x!, indices!, axis, flat);
      result[offset] = result[offset]! + value;
    });
    return [result];
  },
};

/** `x` with `updates` added at `indices` along `axis`, the other axes matched; the transpose of {@link takeAlongAxis}. */
export function scatterAlongAxis(value: TensorLike, indices: TensorLike, updates: TensorLike, axis = -1): Tensor {
  const x = asTensor(value);
  const inputs = [x, asTensor(indices, "int32"), asTensor(updates, x.dtype)];
  return bindOne(scatterAlongAxisPrimitive, inputs, { axis: resolveAxis("scatterAlongAxis", axis, x.shape) });
}

/** ONNX Runtime's CPU cannot add float16 when scattering: such arrays are widened to float32. */
function addingIn32Bits(
  graph: GraphBuilder,
  { dtype }: ArrayType,
  [data, , updates]: readonly string[],
  scatter: (data: string, updates: string) => string,
): string {
  if (dtype !== "float16") return scatter(data!, updates!);
  return graph.cast(scatter(graph.cast(data!, "float32"), graph.cast(updates!, "float32")), dtype);
}

function offsetAlong(name: string, x: ReferenceArray, indices: ReferenceArray, axis: number, flat: number): number {
  const outer = stridesOf(indices.shape);
  const strides = stridesOf(x.shape);
  return indices.shape.reduce((offset, extent, i) => {
    const at = i === axis ? rowOf(name, indices.data[flat]!, x.shape[axis]!) : Math.floor(flat / outer[i]!) % extent;
    return offset + at * strides[i]!;
  }, 0);
}

function rowOf(name: string, index: number, extent: number): number {
  const row = index < 0 ? index + extent : index;
  if (row < 0 || row >= extent) throw new RangeError(`${name}: index ${index} is outside an axis of ${extent}`);
  return row;
}
