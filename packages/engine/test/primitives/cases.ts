import { fromNumbers } from "../../src/array/nd-array.ts";
import { keyToArray, randomKey } from "../../src/array/random-key.ts";
import * as t from "../../src/index.ts";
import type { PrimitiveName } from "../../src/primitives/table.ts";
import { as, bools, type Case, distinct, example, ints, normals, positives } from "./case.ts";

const noDerivative = "piecewise constant";
const integersOnly = "no float input";

const key = (seed: number) => () => keyToArray(randomKey(seed));
const list =
  (dtype: "float32" | "int32", ...values: number[]) =>
  () =>
    fromNumbers(values, [values.length], dtype);

/** Sums, products and the like: broadcasting both ways, scalars, integers, wide floats, no elements. */
function arithmetic(f: (a: t.Tensor, b: t.Tensor) => t.Tensor, make = normals): Case[] {
  return [
    example("equal shapes", [make(1, 3, 5), make(2, 3, 5)], f),
    example("broadcast over rows and columns", [make(1, 2, 1, 3), make(2, 5, 1)], f),
    example("a scalar", [make(1), make(2, 7)], f),
    example("one array with itself", [make(1, 4)], (a) => f(a, a)),
    example("no elements", [make(1, 0, 3), make(2, 3)], f),
    example("float64", [as("float64", make(1, 4)), as("float64", make(2, 4))], f, { tolerance: 1e-12 }),
    example("int32", [ints(1, -20, 20, 3, 4), ints(2, 1, 5, 4)], f, { noGradient: integersOnly }),
  ];
}

function ordering(f: (a: t.Tensor, b: t.Tensor) => t.Tensor): Case[] {
  return [
    example("with ties", [ints(1, 0, 3, 3, 4), ints(2, 0, 3, 4)], f, { noGradient: integersOnly }),
    example("float32", [as("float32", ints(1, 0, 3, 3, 4)), as("float32", ints(2, 0, 3, 3, 1))], f, {
      noGradient: noDerivative,
    }),
    example("float64", [as("float64", ints(1, 0, 3, 6)), as("float64", ints(2, 0, 3, 6))], f, {
      noGradient: noDerivative,
    }),
  ];
}

function unary(f: (x: t.Tensor) => t.Tensor, make = normals): Case[] {
  return [
    example("a matrix", [make(1, 3, 5)], f),
    example("a scalar", [make(2)], f),
    example("no elements", [make(3, 0, 2)], f),
    example("float64", [as("float64", make(4, 6))], f, { tolerance: 1e-6 }),
  ];
}

function steps(f: (x: t.Tensor) => t.Tensor): Case[] {
  return unary(f).map((one) => ({ ...one, noGradient: noDerivative }));
}

function reduction(f: typeof t.sum): Case[] {
  return [
    example("everything", [distinct(1, 3, 5)], (x) => f(x)),
    example("a negative axis", [distinct(2, 2, 3, 4)], (x) => f(x, { axes: -2 })),
    example("two axes, kept", [distinct(3, 2, 3, 4)], (x) => f(x, { axes: [0, 2], keepDims: true })),
    example("float64", [as("float64", distinct(4, 3, 3))], (x) => f(x, { axes: 0 }), { tolerance: 1e-12 }),
    example("int32", [ints(5, -9, 9, 3, 4)], (x) => f(x, { axes: 1 }), { noGradient: integersOnly }),
  ];
}

function lanes(f: typeof t.softmax): Case[] {
  return [
    example("the last axis", [normals(1, 3, 5)], (x) => f(x)),
    example("an inner axis", [normals(2, 2, 3, 4)], (x) => f(x, 1)),
    example("large numbers", [list("float32", 1000, 1001, 999.5)], (x) => f(x)),
    example("float64", [as("float64", normals(3, 4))], (x) => f(x), { tolerance: 1e-12 }),
  ];
}

function logical(f: (a: t.Tensor, b: t.Tensor) => t.Tensor): Case[] {
  return [example("broadcast", [bools(1, 4, 1), bools(2, 5)], f, { noGradient: integersOnly })];
}

function extremeIndex(f: (x: t.Tensor, axis?: number) => t.Tensor): Case[] {
  return [
    example("the last axis", [normals(1, 4, 7)], (x) => f(x), { noGradient: noDerivative }),
    example("ties give the first", [ints(2, 0, 3, 3, 9)], (x) => f(x, 1), { noGradient: integersOnly }),
    example("an inner axis", [normals(3, 2, 5, 3)], (x) => f(x, -2), { noGradient: noDerivative }),
    example("float64", [as("float64", normals(4, 5))], (x) => f(x), { noGradient: noDerivative }),
  ];
}

/** Every primitive with its cases: a primitive without an entry is a compile error. */
export const cases: Readonly<Record<PrimitiveName, readonly Case[]>> = {
  add: arithmetic(t.add),
  sub: arithmetic(t.sub),
  mul: arithmetic(t.mul),
  div: arithmetic(t.div, positives),
  pow: [
    ...arithmetic(t.pow, positives).filter(({ name }) => name !== "int32"),
    example("a constant exponent", [normals(1, 5)], (x) => t.pow(x, 3)),
    example("int32", [ints(1, -4, 5, 6), ints(2, 0, 4, 6)], t.pow, { noGradient: integersOnly }),
  ],
  mod: [
    example("float32", [normals(1, 3, 4), positives(2, 4)], t.mod, { noGradient: "declared to have none" }),
    example("negative int32", [ints(1, -20, 20, 12), ints(2, 1, 6, 12)], t.mod, { noGradient: integersOnly }),
    example("a negative divisor", [ints(1, -20, 20, 12), ints(2, -6, 0, 12)], t.mod, { noGradient: integersOnly }),
  ],
  maximum: arithmetic(t.maximum).filter(({ name }) => name !== "one array with itself"),
  minimum: arithmetic(t.minimum).filter(({ name }) => name !== "one array with itself"),
  neg: [...unary(t.neg), example("int32", [ints(1, -9, 9, 5)], t.neg, { noGradient: integersOnly })],
  abs: [...unary(t.abs), example("int32", [ints(1, -9, 9, 5)], t.abs, { noGradient: integersOnly })],
  sign: [...steps(t.sign), example("int32", [ints(1, -2, 3, 9)], t.sign, { noGradient: integersOnly })],
  floor: steps(t.floor),
  exp: unary(t.exp),
  log: unary(t.log, positives),
  sqrt: unary(t.sqrt, positives),
  tanh: unary(t.tanh),
  sigmoid: unary(t.sigmoid),
  sin: unary(t.sin),
  cos: unary(t.cos),
  erf: [...unary(t.erf), example("far out", [list("float32", -5, -3, 2.4, 2.6, 4, 7)], t.erf)],
  gelu: [...unary((x) => t.gelu(x)), ...unary((x) => t.gelu(x, { approximate: "tanh" })).map(named("tanh form"))],
  equal: [...ordering(t.equal), example("bool", [bools(1, 8), bools(2, 8)], t.equal, { noGradient: integersOnly })],
  less: ordering(t.less),
  lessEqual: ordering(t.lessEqual),
  and: logical(t.and),
  or: logical(t.or),
  not: [example("bool", [bools(1, 3, 3)], t.not, { noGradient: integersOnly })],
  where: [
    example("equal shapes", [bools(1, 3, 4), normals(2, 3, 4), normals(3, 3, 4)], t.where),
    example("three ways to broadcast", [bools(1, 3, 1), normals(2, 4), normals(3, 2, 1, 1)], t.where),
    example("int32", [bools(1, 6), ints(2, 0, 9, 6), ints(3, 0, 9)], t.where, { noGradient: integersOnly }),
    example("bool", [bools(1, 9), bools(2, 9), bools(3, 9)], t.where, { noGradient: integersOnly }),
  ],
  cast: [
    example("float32 to float64", [normals(1, 5)], (x) => t.cast(x, "float64"), { tolerance: 1e-7 }),
    example("float32 to int32 cuts", [as("float32", normals(2, 20))], (x) => t.cast(t.mul(x, 4), "int32"), {
      noGradient: noDerivative,
    }),
    example("int32 to bool", [ints(3, -1, 2, 9)], (x) => t.cast(x, "bool"), { noGradient: integersOnly }),
    example("bool to float32", [bools(4, 9)], (x) => t.cast(x, "float32"), { noGradient: integersOnly }),
  ],
  sum: reduction(t.sum),
  max: [
    ...reduction(t.max),
    example("ties share", [list("int32", 2, 2, 1)], (x) => t.max(x), { noGradient: integersOnly }),
  ],
  min: reduction(t.min),
  softmax: lanes(t.softmax),
  logSoftmax: lanes(t.logSoftmax),
  layerNorm: [
    example(
      "rows",
      [normals(1, 3, 5), normals(2, 5), normals(3, 5)],
      (x, scale, bias) => t.layerNormalization(x, scale, bias),
      {
        tolerance: 1e-4,
      },
    ),
    example(
      "three axes",
      [normals(1, 2, 2, 4), normals(2, 4), normals(3, 4)],
      (x, scale, bias) => t.layerNormalization(x, scale, bias, 0.1),
      { tolerance: 1e-4 },
    ),
    example(
      "float64",
      [as("float64", normals(1, 2, 4)), as("float64", normals(2, 4)), as("float64", normals(3, 4))],
      (x, scale, bias) => t.layerNormalization(x, scale, bias),
      { tolerance: 1e-4 },
    ),
    example(
      "float16",
      [as("float16", normals(1, 2, 4)), as("float16", normals(2, 4)), as("float16", normals(3, 4))],
      (x, scale, bias) => t.layerNormalization(x, scale, bias),
      { tolerance: 1e-2 },
    ),
  ],
  rmsNorm: [
    example("rows", [normals(1, 3, 5), normals(2, 5)], (x, scale) => t.rmsNormalization(x, scale), { tolerance: 1e-4 }),
    example("three axes", [normals(1, 2, 2, 4), normals(2, 4)], (x, scale) => t.rmsNormalization(x, scale, 0.1), {
      tolerance: 1e-4,
    }),
  ],
  matmul: [
    example("matrices", [normals(1, 3, 4), normals(2, 4, 5)], (a, b) => t.matmul(a, b)),
    example("a shared matrix", [normals(1, 2, 3, 4), normals(2, 4, 5)], (a, b) => t.matmul(a, b)),
    example("broadcast batches", [normals(1, 2, 1, 3, 4), normals(2, 3, 4, 2)], (a, b) => t.matmul(a, b)),
    example("left transposed", [normals(1, 2, 4, 3), normals(2, 2, 4, 2)], (a, b) =>
      t.matmul(a, b, { transposeA: true }),
    ),
    example("right transposed and scaled", [normals(1, 2, 3, 4), normals(2, 5, 4)], (a, b) =>
      t.matmul(a, b, { transposeB: true, scale: 0.3 }),
    ),
    example("both transposed", [normals(1, 4, 3), normals(2, 5, 4)], (a, b) =>
      t.matmul(a, b, { transposeA: true, transposeB: true }),
    ),
    example("from einsum", [normals(1, 2, 3, 2, 4), normals(2, 2, 5, 2, 4)], (q, k) =>
      t.einsum("bthd,bshd->bhts", q, k),
    ),
  ],
  reshape: [
    example("to a row", [normals(1, 2, 3)], (x) => t.reshape(x, [-1])),
    example("to a scalar", [normals(1, 1, 1)], (x) => t.reshape(x, [])),
    example("no elements", [normals(1, 0, 3)], (x) => t.reshape(x, [3, 0, 2])),
    example("bool", [bools(1, 4)], (x) => t.reshape(x, [2, 2]), { noGradient: integersOnly }),
  ],
  transpose: [
    example("reversed", [normals(1, 2, 3, 4)], (x) => t.transpose(x)),
    example("a cycle", [normals(1, 2, 3, 4)], (x) => t.transpose(x, [1, 2, 0])),
    example("negative axes", [normals(1, 2, 3, 4)], (x) => t.transpose(x, [0, -1, -2])),
    example("bool", [bools(1, 3, 4)], (x) => t.transpose(x), { noGradient: integersOnly }),
  ],
  broadcastTo: [
    example("new and repeated axes", [normals(1, 3, 1)], (x) => t.broadcastTo(x, [2, 3, 4])),
    example("a scalar", [normals(1)], (x) => t.broadcastTo(x, [3, 2])),
    example("bool", [bools(1, 3)], (x) => t.broadcastTo(x, [2, 3]), { noGradient: integersOnly }),
  ],
  gather: [
    example("rows, some twice", [normals(1, 5, 3), list("int32", 4, 0, 4, -1)], (x, at) => t.gather(x, at)),
    // More indices than rows: the gradient is a product.
    example("few rows, one never", [normals(1, 3, 2, 2), list("int32", 2, 0, 2, -1, -3)], (x, at) => t.gather(x, at)),
    example("an inner axis and a table of indices", [normals(1, 2, 4, 3), ints(2, 0, 4, 2, 3)], (x, at) =>
      t.gather(x, at, 1),
    ),
    example("a scalar index", [normals(1, 4, 3), ints(2, 0, 3)], (x, at) => t.gather(x, at, -1)),
    example("bool", [bools(1, 6), ints(2, 0, 6, 9)], (x, at) => t.gather(x, at), { noGradient: integersOnly }),
  ],
  scatterAdd: [
    example("rows, some twice", [normals(1, 5, 2), list("int32", 4, 0, 4, -1), normals(2, 4, 2)], (x, at, u) =>
      t.scatterAdd(x, at, u),
    ),
    example("a table of indices", [normals(1, 4), ints(2, 0, 4, 3, 2), normals(3, 3, 2)], (x, at, u) =>
      t.scatterAdd(x, at, u),
    ),
    example(
      "float16",
      [as("float16", normals(1, 5)), ints(2, 0, 5, 7), as("float16", normals(3, 7))],
      (x, at, u) => t.scatterAdd(x, at, u),
      { tolerance: 1e-2 },
    ),
    example("int32", [ints(1, 0, 9, 4), ints(2, 0, 4, 9), ints(3, 0, 9, 9)], (x, at, u) => t.scatterAdd(x, at, u), {
      noGradient: integersOnly,
    }),
  ],
  scatterSet: [
    example("rows", [normals(1, 5, 2), list("int32", 4, 0, -3), normals(2, 3, 2)], (x, at, u) =>
      t.scatterSet(x, at, u),
    ),
    example(
      "a table of indices",
      [normals(1, 7), () => fromNumbers([6, 0, 2, 5], [2, 2], "int32"), normals(3, 2, 2)],
      (x, at, u) => t.scatterSet(x, at, u),
    ),
    example("bool", [bools(1, 6), list("int32", 5, 1), bools(2, 2)], (x, at, u) => t.scatterSet(x, at, u), {
      noGradient: integersOnly,
    }),
  ],
  takeAlongAxis: [
    example("the last axis", [normals(1, 3, 5), ints(2, -5, 5, 3, 2)], (x, at) => t.takeAlongAxis(x, at)),
    example("an inner axis", [normals(1, 2, 4, 3), ints(2, 0, 4, 2, 6, 3)], (x, at) => t.takeAlongAxis(x, at, 1)),
  ],
  scatterAlongAxis: [
    example("the last axis", [normals(1, 3, 5), ints(2, -5, 5, 3, 7), normals(3, 3, 7)], (x, at, u) =>
      t.scatterAlongAxis(x, at, u),
    ),
    example("an inner axis", [normals(1, 2, 4, 3), ints(2, 0, 4, 2, 3, 3), normals(3, 2, 3, 3)], (x, at, u) =>
      t.scatterAlongAxis(x, at, u, 1),
    ),
    example(
      "float16",
      [as("float16", normals(1, 5)), ints(2, 0, 5, 7), as("float16", normals(3, 7))],
      (x, at, u) => t.scatterAlongAxis(x, at, u),
      { tolerance: 1e-2 },
    ),
  ],
  concat: [
    example("three parts", [normals(1, 2, 3), normals(2, 2, 1), normals(3, 2, 4)], (a, b, c) =>
      t.concat([a, b, c], -1),
    ),
    example("the first axis, one part empty", [normals(1, 2, 3), normals(2, 0, 3), normals(3, 1, 3)], (a, b, c) =>
      t.concat([a, b, c], 0),
    ),
    example("one array twice", [normals(1, 2, 2)], (a) => t.concat([a, a], 1)),
    example("stack", [normals(1, 2, 3), normals(2, 2, 3)], (a, b) => t.stack([a, b], -1)),
    example("bool", [bools(1, 3), bools(2, 4)], (a, b) => t.concat([a, b], 0), { noGradient: integersOnly }),
    example("int32", [ints(1, 0, 9, 3), ints(2, 0, 9, 4)], (a, b) => t.concat([a, b], 0), { noGradient: integersOnly }),
  ],
  split: [
    example("equal parts", [normals(1, 2, 6)], (x) => t.split(x, 3, -1)),
    example("sizes, one empty", [normals(1, 5, 2)], (x) => t.split(x, [2, 0, 3], 0)),
    example("one part unused", [normals(1, 2, 3, 2)], (x) => t.split(x, [1, 2], 1)[1]!),
    example("bool", [bools(1, 6)], (x) => t.split(x, [4, 2], 0), { noGradient: integersOnly }),
  ],
  slice: [
    example("a middle part", [normals(1, 3, 6)], (x) => t.slice(x, 1, 1, 4)),
    example("bounds from the end", [normals(1, 6, 2)], (x) => t.slice(x, 0, -4, -1)),
    example("every third", [normals(1, 2, 8)], (x) => t.slice(x, -1, 1, undefined, 3)),
    example("backwards by two to the beginning", [normals(1, 7)], (x) => t.slice(x, 0, -1, undefined, -2)),
    example("backwards, stopping early", [normals(1, 7, 2)], (x) => t.slice(x, 0, 5, 1, -3)),
    example("bounds outside", [normals(1, 4)], (x) => t.slice(x, 0, -9, 3)),
    example("nothing", [normals(1, 4, 2)], (x) => t.slice(x, 0, 3, 1)),
    example("flipped", [normals(1, 2, 3, 4)], (x) => t.flip(x, [0, -1])),
    example("bool", [bools(1, 9)], (x) => t.slice(x, 0, 8, 2, -1), { noGradient: integersOnly }),
  ],
  pad: [
    example("with zeros", [normals(1, 2, 3)], (x) =>
      t.pad(x, [
        [1, 0],
        [2, 3],
      ]),
    ),
    example("with a value", [normals(1, 3)], (x) => t.pad(x, [[2, 1]], -1.5)),
    example("an empty axis", [normals(1, 0, 2)], (x) =>
      t.pad(x, [
        [2, 1],
        [0, 0],
      ]),
    ),
    example("between neighbours", [normals(1, 3, 2)], (x) =>
      t.spacedPad(
        x,
        [
          [1, 0],
          [0, 2],
        ],
        [2, 1],
        0.5,
      ),
    ),
    example("bool", [bools(1, 4)], (x) => t.pad(x, [[1, 2]], 1), { noGradient: integersOnly }),
    example("int32", [ints(1, 0, 9, 4)], (x) => t.spacedPad(x, [[1, 2]], [1], 7), { noGradient: integersOnly }),
  ],
  topK: [
    example("largest three", [distinct(1, 3, 7)], (x) => Object.values(t.topK(x, 3))),
    example("an inner axis", [distinct(2, 2, 5, 3)], (x) => t.topK(x, 2, 1).values),
    example("ties", [ints(3, 0, 4, 3, 40)], (x) => Object.values(t.topK(x, 30)), { noGradient: integersOnly }),
    example("sorted", [distinct(4, 4, 5)], (x) => t.sort(x)),
    example("sorted downwards along the first axis", [distinct(5, 6, 2)], (x) => t.sort(x, 0, { descending: true })),
    example("argsort keeps ties in order", [ints(6, 0, 5, 2, 70)], (x) => t.argsort(x), { noGradient: integersOnly }),
    example(
      "argsort downwards keeps ties in order",
      [as("float32", ints(7, 0, 5, 2, 70))],
      (x) => t.argsort(x, 1, { descending: true }),
      { noGradient: noDerivative },
    ),
    example("float64", [as("float64", distinct(8, 9))], (x) => t.sort(x), { tolerance: 1e-12 }),
  ],
  argmax: extremeIndex(t.argmax),
  argmin: extremeIndex(t.argmin),
  cumsum: [
    example("the last axis", [normals(1, 3, 5)], (x) => t.cumsum(x, -1)),
    example("exclusive", [normals(2, 5, 2)], (x) => t.cumsum(x, 0, { exclusive: true })),
    example("reverse", [normals(3, 2, 5, 2)], (x) => t.cumsum(x, 1, { reverse: true })),
    example("both", [normals(4, 6)], (x) => t.cumsum(x, 0, { exclusive: true, reverse: true })),
    example("no elements", [normals(4, 2, 0)], (x) => t.cumsum(x, 0)),
    example("int32", [ints(5, -9, 9, 3, 4)], (x) => t.cumsum(x, 1), { noGradient: integersOnly }),
    example("float64", [as("float64", normals(6, 7))], (x) => t.cumsum(x, 0), { tolerance: 1e-12 }),
  ],
  conv1d: [
    example("plain", [normals(1, 2, 6, 3), normals(2, 3, 3, 2)], (x, w) => t.conv1d(x, w)),
    example("causal, dilated", [normals(1, 1, 7, 2), normals(2, 3, 2, 2)], (x, w) =>
      t.conv1d(x, w, { dilation: 2, padding: [4, 0] }),
    ),
    example("strided, rows left over", [normals(1, 2, 8, 2), normals(2, 3, 2, 1)], (x, w) =>
      t.conv1d(x, w, { stride: 3 }),
    ),
    example("strided, padded, dilated", [normals(1, 1, 8, 2), normals(2, 2, 2, 3)], (x, w) =>
      t.conv1d(x, w, { stride: 2, dilation: 3, padding: [1, 3] }),
    ),
    example("two groups", [normals(1, 2, 5, 4), normals(2, 2, 2, 6)], (x, w) =>
      t.conv1d(x, w, { groups: 2, padding: [1, 1] }),
    ),
    example("depthwise", [normals(1, 1, 5, 3), normals(2, 3, 1, 3)], (x, w) =>
      t.conv1d(x, w, { groups: 3, padding: [2, 0] }),
    ),
    example("float64", [as("float64", normals(1, 1, 5, 2)), as("float64", normals(2, 2, 2, 2))], (x, w) =>
      t.conv1d(x, w),
    ),
  ],
  iota: [
    example("a length", [], () => t.iota(5), { noGradient: integersOnly }),
    example("an inner axis", [], () => t.iota([2, 3, 4], 1), { noGradient: integersOnly }),
    example("the last axis of floats", [], () => t.iota([2, 3], -1, "float32"), { noGradient: integersOnly }),
    example("no elements", [], () => t.iota([0, 3], 0), { noGradient: integersOnly }),
    example("one-hot", [ints(1, -1, 4, 2, 3)], (x) => t.oneHot(x, 3), { noGradient: integersOnly }),
  ],
  threefry: [
    example("an even number of words", [key(1)], (k) => t.randomBits(k, [3, 4]), { noGradient: integersOnly }),
    example("an odd number of words", [key(-5)], (k) => t.randomBits(k, [7]), { noGradient: integersOnly }),
    example("no words", [key(1)], (k) => t.randomBits(k, [0]), { noGradient: integersOnly }),
    example("split", [key(2)], (k) => t.splitKeys(k, 3), { noGradient: integersOnly }),
    example("folded", [key(3), ints(1, 0, 1000)], (k, step) => t.foldKey(k, step), { noGradient: integersOnly }),
    example("uniform", [key(4)], (k) => t.randomUniform(k, [3, 5]), { noGradient: integersOnly }),
    example("normal", [key(5)], (k) => t.randomNormal(k, [3, 5]), { noGradient: integersOnly }),
    example("bernoulli", [key(6)], (k) => t.bernoulli(k, 0.3, [5, 5]), { noGradient: integersOnly }),
  ],
  bitField: [
    example("the upper bits", [key(9)], (k) => t.bitField(k, 8, 24), { noGradient: integersOnly }),
    example("the lower half", [key(9)], (k) => t.bitField(k, 0, 16), { noGradient: integersOnly }),
    example("the whole word", [key(9)], (k) => t.bitField(k, 0, 32), { noGradient: integersOnly }),
    example("the highest bit", [list("int32", -1, 1, -2147483648)], (k) => t.bitField(k, 31, 1), {
      noGradient: integersOnly,
    }),
  ],
  cond: [
    example("true", [normals(1, 3), normals(2, 3)], (a, b) =>
      t.cond(
        t.less(0, 1),
        () => t.mul(a, b),
        () => t.sin(a),
      ),
    ),
    example("false", [normals(1, 3), normals(2, 3)], (a, b) =>
      t.cond(
        t.less(1, 0),
        () => t.mul(a, b),
        () => t.sin(a),
      ),
    ),
    example("a computed predicate and two results", [normals(1, 2, 2), normals(2)], (a, b) =>
      t.cond(
        t.less(t.sum(a), 100),
        () => [t.mul(a, b), t.exp(b)],
        () => [a, b],
      ),
    ),
    example("nested", [normals(1, 4)], (a) =>
      t.cond(
        t.less(0, 1),
        () =>
          t.cond(
            t.less(1, 0),
            () => a,
            () => t.tanh(a),
          ),
        () => t.neg(a),
      ),
    ),
    example("branches that begin alike, one of which returns what both have", [normals(1, 3), normals(2, 3)], (a, b) =>
      t.cond(
        t.less(0, 1),
        () => {
          const c = t.mul(a, t.exp(b));
          return [c, t.sin(c), a, t.tanh(c)];
        },
        () => {
          const c = t.mul(a, t.exp(b));
          return [c, c, a, t.tanh(t.sin(c))];
        },
      ),
    ),
    example(
      "int32",
      [bools(1), ints(2, 0, 9, 3)],
      (p, x) =>
        t.cond(
          p,
          () => x,
          () => t.add(x, 1),
        ),
      { noGradient: integersOnly },
    ),
  ],
  scan: [
    example("a recurrence", [normals(1, 3), normals(2, 6, 3), normals(3, 3)], (h, xs, w) =>
      t.scan((carry: t.Tensor, x: t.Tensor) => both(t.tanh(t.add(t.mul(carry, w), x))), h, xs),
    ),
    example("backwards", [normals(1, 2), normals(2, 6, 2)], (h, xs) =>
      t.scan((carry: t.Tensor, x: t.Tensor) => both(t.mul(t.add(carry, 0.5), t.sin(x))), h, xs, { reverse: true }),
    ),
    example("written out", [normals(1, 2), normals(2, 3, 2)], (h, xs) =>
      t.scan((carry: t.Tensor, x: t.Tensor) => both(t.mul(carry, x)), h, xs, { unroll: true }),
    ),
    example("without slices", [normals(1, 3)], (x) => t.loop(6, (y) => t.sin(t.add(y, x)), x)),
  ],
  call: [
    example("recomputed", [normals(1, 3, 2), normals(2, 2, 4)], (x, w) =>
      t.recompute((a: t.Tensor) => t.tanh(t.matmul(a, w)))(x),
    ),
    example("a rule of one's own", [normals(1, 5)], (x) =>
      t.customGradient({
        forward: (a) => [t.mul(a, a)],
        backward: ({ inputs: [a], cotangents: [dy] }) => [t.mul(t.mul(dy!, a!), 2)],
      })(x),
    ),
  ],
  stopGradient: [example("a matrix", [normals(1, 2, 3)], t.stopGradient, { noGradient: "it stops them" })],
  kept: [example("a matrix", [normals(1, 2, 3)], t.kept, { noGradient: "it stops them" })],
  alias: [example("a matrix", [normals(1, 2, 3)], t.alias)],
  after: [
    example("one type", [normals(1, 2, 3), normals(2, 4)], t.after),
    example("several", [normals(1, 2, 3), normals(2, 4), normals(3), normals(5, 1, 2)], t.after),
    example("two types", [normals(1, 2, 3), ints(2, 0, 9, 4)], t.after),
  ],
  constant: [example("an array", [normals(1, 3)], (x) => t.add(x, t.constant(fromNumbers([1, 2, 3], [3], x.dtype))))],
};

function named(prefix: string): (one: Case) => Case {
  return (one) => ({ ...one, name: `${prefix}, ${one.name}` });
}

function both(x: t.Tensor): [t.Tensor, t.Tensor] {
  return [x, x];
}
