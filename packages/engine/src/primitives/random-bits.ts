import { fromNumbers, type NDArray } from "../array/nd-array.ts";
import { type RandomKey, threefry2x32 } from "../array/random-key.ts";
import { type Shape, shapeText, sizeOfShape } from "../array/shape.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import type { OnnxGraph } from "../onnx/model.ts";
import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { split } from "./concat.ts";
import { iota } from "./iota.ts";
import { noGradient, type Primitive } from "./primitive.ts";
import { reshape, transpose } from "./shape.ts";
import { slice } from "./slice.ts";

/** Second counter words, the same as in the host's `bitsOf`, `splitKey` and `foldIn`. */
const domains = { stream: 0, split: 0x5eed5eed, fold: 0xf01df01d } as const;

type ThreefryParams = { readonly domain: number };

export const threefryPrimitive: Primitive<ThreefryParams> = {
  name: "threefry",
  type: ([key, counters]) => {
    if (key!.dtype !== "int32" || shapeText(key!.shape) !== "[2]") {
      throw new TypeError(`threefry: expected a key int32[2], got ${key!.dtype}${shapeText(key!.shape)}`);
    }
    if (counters!.dtype !== "int32" || counters!.shape.length !== 1) {
      throw new TypeError(`threefry: expected counters int32[n], got ${counters!.dtype}${shapeText(counters!.shape)}`);
    }
    return [{ shape: [2, counters!.shape[0]!], dtype: "int32" }];
  },
  gradient: noGradient,
  lower: ({ graph, names, inputs, params }) => [
    lowerThreefry(graph, names[0]!, names[1]!, inputs[1]!.shape[0]!, params.domain),
  ],
  evaluate: ([key, counters], { domain }) => {
    const words: RandomKey["words"] = [key!.data[0]! >>> 0, key!.data[1]! >>> 0];
    const n = counters!.data.length;
    const result = new Float64Array(2 * n);
    counters!.data.forEach((counter, i) => {
      const [first, second] = threefry2x32(words, [counter >>> 0, domain]);
      result[i] = first | 0;
      result[n + i] = second | 0;
    });
    return [result];
  },
};

/** Threefry adds words of the key after every four rounds. */
const groups = [1, 2, 3, 4, 5] as const;

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/**
 * The 20 rounds on uint32 values, whose sums and products wrap. Both words are returned as rows of one int32 array.
 *
 * Four rounds and the addition of key words are the body of a Scan: written out, the rounds would be most of the
 * nodes of a model with dropout, and creating its session would take four times as long.
 */
function lowerThreefry(graph: GraphBuilder, key: string, counters: string, n: number, domain: number): string {
  // ONNX Runtime infers the wrong shape for an Expand to no elements.
  if (n === 0) return graph.constant(fromNumbers([], [2, 0], "int32"));
  const add = (a: string, b: string) => graph.node("Add", [a, b]);
  const xor = (a: string, b: string) => graph.node("BitwiseXor", [a, b]);
  const pick = (from: string, indices: NDArray) => graph.node("Gather", [from, graph.constant(indices)]);
  const concat = (parts: readonly string[]) => graph.node("Concat", parts, { attributes: { axis: { int: 0 } } });
  const keyWords = graph.cast(key, "uint32");
  const [k0, k1] = [0, 1].map((i) => pick(keyWords, fromNumbers([i], [1], "int64")));
  const schedule = concat([k0!, k1!, xor(xor(k0!, k1!), words(graph, [0x1bd11bda], [1]))]);
  const order = groups.flatMap((group) => [group % 3, (group + 1) % 3]);
  const counts = groups.flatMap((group) => [0, group]);
  const added = add(
    pick(schedule, fromNumbers(order, [groups.length, 2], "int64")),
    words(graph, counts, [groups.length, 2]),
  );
  const by = groups.flatMap((group) => rotations[(group - 1) % 2]!);
  const factors = by.map((bits) => 2 ** bits);
  const shifts = by.map((bits) => 32 - bits);
  const [left, right] = [factors, shifts].map((values) => words(graph, values, [groups.length, 4]));
  const x0 = add(graph.cast(counters, "uint32"), k0!);
  const x1 = graph.node("Expand", [add(words(graph, [domain], [1]), k1!), graph.ints([n])]);
  const types = [[n], [n], [2], [4], [4]].map((shape) => ({ name: graph.fresh("s"), dtype: "uint32" as const, shape }));
  const names = types.map(({ name }) => name);
  const body = graph.nested("rounds", types, (inner) => fourRounds(inner, names, n));
  const results = graph.nodeWithOutputs("Scan", [x0, x1, added, left!, right!], 2, {
    attributes: { body: { graph: body }, num_scan_inputs: { int: 3 } },
  });
  return graph.cast(concat(results.map((x) => graph.node("Unsqueeze", [x, graph.ints([0])]))), "int32");
}

/**
 * Four rounds and the addition of two key words.
 * A rotation is `x·2ʳ + (x >> 32 − r)`: in ONNX Runtime, multiply and add are faster than a shift to the left and an "or".
 */
function fourRounds(graph: GraphBuilder, names: readonly string[], n: number): OnnxGraph["outputs"] {
  const [first, second, added, left, right] = names;
  const at = (list: string, i: number) => graph.node("Gather", [list, graph.scalar(i, "int64")]);
  let x0 = first!;
  let x1 = second!;
  for (let round = 0; round < 4; round++) {
    x0 = graph.node("Add", [x0, x1]);
    const rotated = graph.node("Add", [
      graph.node("Mul", [x1, at(left!, round)]),
      shiftRight(graph, x1, at(right!, round)),
    ]);
    x1 = graph.node("BitwiseXor", [rotated, x0]);
  }
  const results = [graph.node("Add", [x0, at(added!, 0)]), graph.node("Add", [x1, at(added!, 1)])];
  return results.map((name) => ({ name, dtype: "uint32", shape: [n] }));
}

function shiftRight(graph: GraphBuilder, word: string, by: string): string {
  return graph.node("BitShift", [word, by], { attributes: { direction: { string: "RIGHT" } } });
}

/** uint32 constants: the engine has no such dtype, so they are cast when the model is loaded. */
function words(graph: GraphBuilder, values: readonly number[], shape: Shape): string {
  return graph.cast(
    graph.constant(
      fromNumbers(
        values.map((value) => value | 0),
        shape,
        "int32",
      ),
    ),
    "uint32",
  );
}

type BitFieldParams = { readonly offset: number; readonly width: number };

export const bitFieldPrimitive: Primitive<BitFieldParams> = {
  name: "bitField",
  type: ([x], { offset, width }) => {
    if (x!.dtype !== "int32") throw new TypeError(`bitField: expected int32, got ${x!.dtype}${shapeText(x!.shape)}`);
    if (![offset, width].every(Number.isInteger) || offset < 0 || width < 1 || offset + width > 32) {
      throw new RangeError(`bitField: expected a field within 32 bits, got ${width} bits from bit ${offset} on`);
    }
    return [{ shape: x!.shape, dtype: "int32" }];
  },
  gradient: noGradient,
  lower: ({ graph, names, params: { offset, width } }) => {
    const by = words(graph, [offset], []);
    const shifted =
      offset === 0 ? names[0]! : graph.cast(shiftRight(graph, graph.cast(names[0]!, "uint32"), by), "int32");
    return [
      offset + width === 32 ? shifted : graph.node("BitwiseAnd", [shifted, graph.scalar(2 ** width - 1, "int32")]),
    ];
  },
  evaluate: ([x], { offset, width }) => [x!.data.map((word) => ((word >>> offset) & (2 ** width - 1)) | 0)],
};

/**
 * Bit field: `width` bits of each word from bit `offset` (0 is the lowest) on, as a number from 0 to `2^width − 1`.
 * @shape x int32 [...] → int32 [...]
 */
export function bitField(x: TensorLike, offset: number, width: number): Tensor {
  return bindOne(bitFieldPrimitive, [asTensor(x, "int32")], { offset, width });
}

/**
 * Random words: the first words of the key's stream, equal to those of the host's `bitsOf`.
 *
 * @shape key int32 [2] → int32 shape
 * @source Salmon, Moraes, Dror & Shaw 2011, "Parallel Random Numbers: As Easy as 1, 2, 3", §3.2 (Threefry-2x32-20)
 */
export function randomBits(key: TensorLike, shape: Shape): Tensor {
  const length = sizeOfShape(shape);
  const blocks = threefry(key, iota(Math.ceil(length / 2)), domains.stream);
  return reshape(slice(reshape(blocks, [-1]), 0, 0, length), shape);
}

function threefry(key: TensorLike, counters: Tensor, domain: number): Tensor {
  return bindOne(threefryPrimitive, [asTensor(key, "int32"), counters], { domain });
}

/**
 * Independent child keys, equal to those of the host's `splitKey`.
 * @shape key int32 [2] → `count` keys int32 [2]
 */
export function splitKeys(key: TensorLike, count = 2): Tensor[] {
  const children = transpose(threefry(key, iota(count), domains.split));
  return split(children, count, 0).map((child) => reshape(child, [2]));
}

/**
 * The key for item `data` (a step, a layer) under `key`, equal to that of the host's `foldIn`.
 * @shape key int32 [2], data int32 scalar → int32 [2]
 */
export function foldKey(key: TensorLike, data: TensorLike): Tensor {
  return reshape(threefry(key, reshape(asTensor(data, "int32"), [1]), domains.fold), [2]);
}
