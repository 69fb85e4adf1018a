import { describe, expect, test } from "vitest";
import type { DType } from "../../src/array/dtype.ts";
import * as t from "../../src/index.ts";
import { traceBody } from "../../src/trace/program.ts";

type Wrong = readonly [message: string, types: readonly string[], use: (...inputs: t.Tensor[]) => unknown];

/** Wrong uses, and the message: it names the function, what was expected with the axis, and what came. */
const wrong: Readonly<Record<string, readonly Wrong[]>> = {
  elementwise: [
    ["add: shapes [2, 3] and [4] do not broadcast at axis 1", ["float32 2 3", "float32 4"], (a, b) => t.add(a!, b!)],
    [
      "mul: dtypes differ, float32[2] and int32[2]; cast one of them",
      ["float32 2", "int32 2"],
      (a, b) => t.mul(a!, b!),
    ],
    ["add: dtype bool is not supported", ["bool 2", "bool 2"], (a, b) => t.add(a!, b!)],
    ["exp: dtype int32 of [3] is not supported", ["int32 3"], (a) => t.exp(a!)],
    ["and: dtype float32 is not supported", ["float32 3", "float32 3"], (a, b) => t.and(a!, b!)],
    ["where: the condition must be bool, got float32[2]", ["float32 2", "float32 2"], (a, b) => t.where(a!, a!, b!)],
    ["where: shapes [3] and [2] do not broadcast at axis 0", ["bool 3", "float32 2"], (c, a) => t.where(c!, a!, a!)],
  ],
  reductions: [
    ["sum: axis 2 is outside shape [2, 3]", ["float32 2 3"], (x) => t.sum(x!, { axes: 2 })],
    ["max: dtype bool is not supported; cast first", ["bool 3"], (x) => t.max(x!)],
    ["softmax: axis -3 is outside shape [2, 3]", ["float32 2 3"], (x) => t.softmax(x!, -3)],
    ["softmax: expected a float array, got int32[2]", ["int32 2"], (x) => t.softmax(x!)],
    ["cumsum: dtype bool of [3] is not supported; cast it first", ["bool 3"], (x) => t.cumsum(x!, 0)],
    ["cumsum: axis 1 is outside shape [3]", ["float32 3"], (x) => t.cumsum(x!, 1)],
  ],
  products: [
    [
      "matmul: contracting axes differ, [2, 64] × [48, 3]",
      ["float32 2 64", "float32 48 3"],
      (a, b) => t.matmul(a!, b!),
    ],
    [
      "matmul: both sides need two axes or more, [3] × [3, 2]",
      ["float32 3", "float32 3 2"],
      (a, b) => t.matmul(a!, b!),
    ],
    [
      "conv1d: expected x [B, L, Cin] and w [K, Cin/groups, Cout], got x float32[5, 2], w float32[3, 2, 2]",
      ["float32 5 2", "float32 3 2 2"],
      (x, w) => t.conv1d(x!, w!),
    ],
    [
      "conv1d: channels (last axis of x, axes 1 and 2 of w) do not fit 2 groups, x float32[1, 5, 3], w float32[3, 2, 2]",
      ["float32 1 5 3", "float32 3 2 2"],
      (x, w) => t.conv1d(x!, w!, { groups: 2 }),
    ],
    [
      "conv1d: the filter is longer than axis 1 of x padded by [1, 0], x float32[1, 2, 2], w float32[4, 2, 2]",
      ["float32 1 2 2", "float32 4 2 2"],
      (x, w) => t.conv1d(x!, w!, { padding: [1, 0] }),
    ],
    [
      "conv1d: expected stride, dilation, groups ≥ 1 and padding ≥ 0, got 0, 1, 1, [0, 0]",
      ["float32 1 5 2", "float32 3 2 2"],
      (x, w) => t.conv1d(x!, w!, { stride: 0 }),
    ],
    [
      "conv1d: expected one float dtype, got x int32[1, 5, 2], w float32[3, 2, 2]",
      ["int32 1 5 2", "float32 3 2 2"],
      (x, w) => t.conv1d(x!, w!),
    ],
  ],
  shapes: [
    ["reshape: [2, 3] does not fit [4, -1]", ["float32 2 3"], (x) => t.reshape(x!, [4, -1])],
    ["transpose: [0, 0] is no permutation of the axes of [2, 3]", ["float32 2 3"], (x) => t.transpose(x!, [0, 0])],
    ["broadcastTo: [2, 3] does not broadcast to [2, 4]", ["float32 2 3"], (x) => t.broadcastTo(x!, [2, 4])],
    [
      "concat: float32[2, 3] and float32[3, 3] may differ at axis 1 only",
      ["float32 2 3", "float32 3 3"],
      (a, b) => t.concat([a!, b!], 1),
    ],
    [
      "concat: dtypes differ, float32[2] and int32[2]; cast one of them",
      ["float32 2", "int32 2"],
      (a, b) => t.concat([a!, b!], 0),
    ],
    ["concat: expected at least one array, got an empty list", [], () => t.concat([], 0)],
    ["concat: axis 1 is outside shape [2]", ["float32 2"], (a) => t.concat([a!, a!], 1)],
    ["stack: shapes differ, [2] and [3] (new axis 0)", ["float32 2", "float32 3"], (a, b) => t.stack([a!, b!])],
    ["split: axis 1 of [2, 5] does not divide into 2 equal parts", ["float32 2 5"], (x) => t.split(x!, 2, 1)],
    ["split: sizes [2, 2] must add up to 5, axis 1 of [2, 5]", ["float32 2 5"], (x) => t.split(x!, [2, 2], -1)],
    [
      "slice: expected integer bounds and a step that is not 0, got 0, undefined, 0 at axis 1 of [2, 5]",
      ["float32 2 5"],
      (x) => t.slice(x!, 1, 0, undefined, 0),
    ],
    ["slice: axis 2 is outside shape [2, 5]", ["float32 2 5"], (x) => t.slice(x!, 2, 0)],
    [
      "pad: expected a pair [before, after] of counts for each axis of [2, 5], got [[1, 1]]",
      ["float32 2 5"],
      (x) => t.pad(x!, [[1, 1]]),
    ],
    [
      "pad: expected a pair [before, after] of counts for each axis of [5], got [[-1, 1]]",
      ["float32 5"],
      (x) => t.pad(x!, [[-1, 1]]),
    ],
    ["flip: axis 1 is outside shape [5]", ["float32 5"], (x) => t.flip(x!, 1)],
    ["iota: axis 1 is outside shape [5]", [], () => t.iota(5, 1)],
    ["iota: dtype bool is not supported", [], () => t.iota(5, 0, "bool")],
  ],
  indices: [
    [
      "gather: indices must be int32 or int64, got float32[2]",
      ["float32 5", "float32 2"],
      (x, at) => t.gather(x!, at!),
    ],
    [
      "takeAlongAxis: [2, 5] and indices [3, 2] may differ at axis 1 only",
      ["float32 2 5", "int32 3 2"],
      (x, at) => t.takeAlongAxis(x!, at!),
    ],
    ["oneHot: indices must be int32 or int64, got float32[2] (depth 4)", ["float32 2"], (x) => t.oneHot(x!, 4)],
    ["topK: k = 6 is outside 1 … 5, axis 1 of [2, 5]", ["float32 2 5"], (x) => t.topK(x!, 6)],
    ["sort: dtype bool of [4] has no order; cast it first", ["bool 4"], (x) => t.sort(x!)],
    ["argmax: axis 0 of [0, 2] is empty", ["float32 0 2"], (x) => t.argmax(x!, 0)],
    ["argmin: axis 3 is outside shape [4]", ["float32 4"], (x) => t.argmin(x!, 3)],
  ],
  random: [
    ["threefry: expected a key int32[2], got float32[2]", ["float32 2"], (key) => t.randomBits(key!, [3])],
    [
      "randomUniform: expected a float dtype for [3], got int32",
      ["int32 2"],
      (key) => t.randomUniform(key!, [3], "int32"),
    ],
    [
      "bitField: expected a field within 32 bits, got 16 bits from bit 20 on",
      ["int32 2"],
      (x) => t.bitField(x!, 20, 16),
    ],
  ],
  control: [
    [
      "cond: the predicate must be bool[], got float32[]",
      ["float32", "float32 2"],
      (p, x) =>
        t.cond(
          p!,
          () => x!,
          () => x!,
        ),
    ],
    [
      "cond: result 0 is float32[2] in one branch and float32[3] in the other",
      ["bool", "float32 2", "float32 3"],
      (p, a, b) =>
        t.cond(
          p!,
          () => a!,
          () => b!,
        ),
    ],
    [
      "cond: the branches return different trees, [*] and [*,*]",
      ["bool", "float32 2"],
      (p, a) =>
        t.cond(
          p!,
          () => [a!],
          () => [a!, a!],
        ),
    ],
    [
      "scan: expected leading axes of 3, got [4]",
      ["float32 3", "float32 4"],
      (a, b) => t.scan((c: t.Tensor) => [c, c], t.sum(a!), [a!, b!]),
    ],
  ],
};

describe.each(Object.entries(wrong))("%s", (_, uses) => {
  test.each(uses)("%s", (message, types, use) => {
    const parsed = types.map((text) => {
      const [dtype, ...extents] = text.split(" ");
      return { dtype: dtype as DType, shape: extents.map(Number) };
    });
    expect(() => traceBody(parsed, (inputs) => use(...inputs))).toThrow(message);
  });
});
