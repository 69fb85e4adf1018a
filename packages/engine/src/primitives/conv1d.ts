import { isFloat } from "../array/dtype.ts";
import { shapeText } from "../array/shape.ts";
import { asTensors, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { concat } from "./concat.ts";
import { matmul } from "./matmul.ts";
import type { ArrayType, Primitive, ReferenceArray } from "./primitive.ts";
import { reshape, transpose } from "./shape.ts";
import { flip, pad, slice, spacedPad } from "./slice.ts";

type Conv1dParams = {
  readonly stride: number;
  readonly dilation: number;
  readonly groups: number;
  readonly padding: readonly [number, number];
};

export const conv1dPrimitive: Primitive<Conv1dParams> = {
  name: "conv1d",
  type: ([x, w], params) => {
    checkOperands(x!, w!, params);
    return [{ shape: [x!.shape[0]!, outputLength(x!, w!, params), w!.shape[2]!], dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x, w], cotangents: [dy], params, wanted }) => [
    wanted[0] ? inputGradient(x!, w!, dy!, params) : undefined,
    wanted[1] ? weightGradient(x!, w!, dy!, params) : undefined,
  ],
  lower: ({ graph, names, inputs: [x], params: { stride, dilation, groups, padding } }) => {
    // ONNX has channels before positions, and ONNX Runtime's CPU has no float64 Conv.
    const narrow = (name: string) => (x!.dtype === "float64" ? graph.cast(name, "float32") : name);
    const reorder = (name: string, perm: readonly number[]) =>
      graph.node("Transpose", [name], { attributes: { perm: { ints: perm } } });
    const attributes = {
      strides: { ints: [stride] },
      dilations: { ints: [dilation] },
      group: { int: groups },
      pads: { ints: padding },
    };
    const operands = [reorder(narrow(names[0]!), [0, 2, 1]), reorder(narrow(names[1]!), [2, 1, 0])];
    const y = reorder(graph.node("Conv", operands, { attributes }), [0, 2, 1]);
    return [x!.dtype === "float64" ? graph.cast(y, "float64") : y];
  },
  evaluate: ([x, w], params) => [convolve(x!, w!, params)],
};

function convolve(x: ReferenceArray, w: ReferenceArray, params: Conv1dParams): Float64Array {
  const { stride, dilation, groups, padding } = params;
  const [batch, length, inputs] = x.shape as [number, number, number];
  const [width, perGroup, outputs] = w.shape as [number, number, number];
  const positions = outputLength(x, w, params);
  const result = new Float64Array(batch * positions * outputs);
  for (let i = 0; i < result.length; i++) {
    const [b, t, o] = [Math.floor(i / (positions * outputs)), Math.floor(i / outputs) % positions, i % outputs];
    const group = Math.floor(o / (outputs / groups));
    let sum = 0;
    for (let k = 0; k < width; k++) {
      const s = t * stride + k * dilation - padding[0];
      if (s < 0 || s >= length) continue;
      for (let c = 0; c < perGroup; c++) {
        sum += x.data[(b * length + s) * inputs + group * perGroup + c]! * w.data[(k * perGroup + c) * outputs + o]!;
      }
    }
    result[i] = sum;
  }
  return result;
}

/** A convolution of dy, spread by the stride, with the filter reversed and its channels exchanged within each group. */
function inputGradient(x: Tensor, w: Tensor, dy: Tensor, { stride, dilation, groups, padding }: Conv1dParams): Tensor {
  const [width, perGroup, outputs] = w.shape as [number, number, number];
  const grouped = reshape(w, [width, perGroup, groups, outputs / groups]);
  const exchanged = reshape(transpose(grouped, [0, 3, 2, 1]), [width, outputs / groups, groups * perGroup]);
  const spaced = spacedPad(
    dy,
    [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
    [0, stride - 1, 0],
  );
  const reach = (width - 1) * dilation;
  // Row s of the padded input takes part in rows s − reach … s of the spaced dy; rows that no window reached get zeros.
  const padded = x.shape[1]! + padding[0] + padding[1];
  const full = pad(spaced, [
    [0, 0],
    [reach, padded - spaced.shape[1]!],
    [0, 0],
  ]);
  const gradient = conv1d(full, flip(exchanged, 0), { dilation, groups });
  return slice(gradient, 1, padding[0], padding[0] + x.shape[1]!);
}

/** For each tap k, the product of the rows that k sees with dy; all taps in one matrix product per group. */
function weightGradient(x: Tensor, w: Tensor, dy: Tensor, { stride, dilation, groups, padding }: Conv1dParams): Tensor {
  const [width, perGroup, outputs] = w.shape as [number, number, number];
  const positions = dy.shape[1]!;
  const rows = x.shape[0]! * positions;
  const padded = pad(x, [[0, 0], padding, [0, 0]]);
  const seen = Array.from({ length: width }, (_, k) => {
    const first = k * dilation;
    const taken = slice(padded, 1, first, first + (positions - 1) * stride + 1, stride);
    return transpose(reshape(taken, [rows, groups, perGroup]), [1, 0, 2]);
  });
  const columns = concat(seen, 2);
  const grads = transpose(reshape(dy, [rows, groups, outputs / groups]), [1, 0, 2]);
  const product = reshape(matmul(columns, grads, { transposeA: true }), [groups, width, perGroup, outputs / groups]);
  return reshape(transpose(product, [1, 2, 0, 3]), w.shape);
}

function outputLength(x: ArrayType, w: ArrayType, { stride, dilation, padding }: Conv1dParams): number {
  const reach = (w.shape[0]! - 1) * dilation + 1;
  return Math.floor((x.shape[1]! + padding[0] + padding[1] - reach) / stride) + 1;
}

function checkOperands(x: ArrayType, w: ArrayType, params: Conv1dParams): void {
  const { stride, dilation, groups, padding } = params;
  const text = `x ${x.dtype}${shapeText(x.shape)}, w ${w.dtype}${shapeText(w.shape)}`;
  if (!isFloat(x.dtype) || x.dtype !== w.dtype) throw new TypeError(`conv1d: expected one float dtype, got ${text}`);
  if (x.shape.length !== 3 || w.shape.length !== 3) {
    throw new RangeError(`conv1d: expected x [B, L, Cin] and w [K, Cin/groups, Cout], got ${text}`);
  }
  const counts = [stride, dilation, groups, padding[0] + 1, padding[1] + 1];
  if (counts.some((n) => !Number.isInteger(n) || n < 1)) {
    throw new RangeError(
      `conv1d: expected stride, dilation, groups ≥ 1 and padding ≥ 0, got ${stride}, ${dilation}, ${groups}, [${padding.join(", ")}]`,
    );
  }
  if (x.shape[2] !== w.shape[1]! * groups || w.shape[2]! % groups !== 0) {
    throw new RangeError(`conv1d: channels (last axis of x, axes 1 and 2 of w) do not fit ${groups} groups, ${text}`);
  }
  if (outputLength(x, w, params) < 1) {
    throw new RangeError(`conv1d: the filter is longer than axis 1 of x padded by [${padding.join(", ")}], ${text}`);
  }
}

export type Conv1dOptions = {
  readonly stride?: number;
  readonly dilation?: number;
  readonly groups?: number;
  /** Zeros added before the first and after the last position; `[K − 1, 0]` makes a causal convolution. */
  readonly padding?: readonly [number, number];
};

/**
 * Convolution along positions, channels last:
 *
 * `y[b, t, o] = Σ_{k, c} x[b, t·stride + k·dilation − padding[0], g(o)·Cin/groups + c] · w[k, c, o]`, where `g(o)` is the
 * group of output channel `o` and positions outside `x` are 0.
 *
 * @shape x [B, L, Cin], w [K, Cin/groups, Cout] → [B, ⌊(L + padding − (K − 1)·dilation − 1) / stride⌋ + 1, Cout]
 * @throws RangeError when the channels do not fit the groups or the filter is longer than the padded input
 */
export function conv1d(x: TensorLike, w: TensorLike, options: Conv1dOptions = {}): Tensor {
  const { stride = 1, dilation = 1, groups = 1, padding = [0, 0] } = options;
  return bindOne(conv1dPrimitive, asTensors(x, w), { stride, dilation, groups, padding });
}
