import { resolveAxis, type Shape, shapeText, sizeOfShape, stridesOf } from "../array/shape.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import type { ArrayType, Primitive } from "./primitive.ts";

/** Per axis: index of the first element, number of elements, and the step from one to the next. */
type SliceParams = { readonly starts: readonly number[]; readonly sizes: Shape; readonly steps: readonly number[] };

export const slicePrimitive: Primitive<SliceParams> = {
  name: "slice",
  type: ([x], { starts, sizes, steps }) => {
    x!.shape.forEach((n, axis) => {
      const last = starts[axis]! + (sizes[axis]! - 1) * steps[axis]!;
      const inside = (i: number) => i >= 0 && i < n;
      if (sizes[axis]! > 0 && !(inside(starts[axis]!) && inside(last) && steps[axis] !== 0)) {
        throw new RangeError(`slice: ${starts[axis]} to ${last} leaves axis ${axis} of ${shapeText(x!.shape)}`);
      }
    });
    return [{ shape: sizes, dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x], cotangents: [dy], params: { starts, sizes, steps } }) => {
    const backward = steps.flatMap((step, axis) => (step < 0 ? [axis] : []));
    const firsts = starts.map((start, axis) => Math.min(start, start + (sizes[axis]! - 1) * steps[axis]!));
    if (sizeOfShape(sizes) === 0) return [undefined];
    const widths = sizes.map((size, axis) => (size - 1) * Math.abs(steps[axis]!) + 1);
    return [
      bindOne(padPrimitive, [flip(dy!, backward)], {
        before: firsts,
        after: x!.shape.map((n, axis) => n - firsts[axis]! - widths[axis]!),
        between: steps.map((step) => Math.abs(step) - 1),
        value: 0,
      }),
    ];
  },
  lower: ({ graph, names, inputs: [x], params: { starts, sizes, steps } }) => {
    const axes = sizes.map((_, axis) => axis).filter((axis) => sizes[axis] !== x!.shape[axis] || steps[axis] !== 1);
    const stops = starts.map((start, axis) => start + sizes[axis]! * steps[axis]!);
    const pick = (values: readonly number[]) => graph.ints(axes.map((axis) => values[axis]!));
    // A stop before the first element cannot be −1, which counts from the end: it is one further out.
    const ends = stops.map((stop, axis) => (stop < 0 ? -x!.shape[axis]! - 1 : stop));
    // ONNX Runtime 1.30 on WebGPU begins every backward slice at the last element: what lies behind the first is cut off.
    const cut = axes.filter((axis) => steps[axis]! < 0 && starts[axis]! < x!.shape[axis]! - 1);
    const bounds = () => [cut.map(() => 0), cut.map((axis) => starts[axis]! + 1), cut].map((list) => graph.ints(list));
    const whole = cut.length === 0 ? names[0]! : graph.node("Slice", [names[0]!, ...bounds()]);
    return [graph.node("Slice", [whole, pick(starts), pick(ends), graph.ints(axes), pick(steps)])];
  },
  evaluate: ([x], { starts, sizes, steps }) => {
    const strides = stridesOf(x!.shape);
    const outer = stridesOf(sizes);
    return [
      Float64Array.from({ length: sizeOfShape(sizes) }, (_, flat) => {
        const offset = sizes.reduce(
          (sum, n, axis) =>
            sum + (starts[axis]! + (Math.floor(flat / outer[axis]!) % n) * steps[axis]!) * strides[axis]!,
          0,
        );
        return x!.data[offset]!;
      }),
    ];
  },
};

/**
 * Elements `start`, `start + step`, … before `stop` along `axis`, like Python's `x[start:stop:step]`: negative bounds count
 * from the end, bounds out of range are clipped, a negative step goes backwards. Default of `stop`: the end, or
 * the beginning for a negative step.
 *
 * @shape x [..., N, ...] → [..., M, ...]
 * @throws RangeError when `step` is 0 or a bound is not an integer
 */
export function slice(value: TensorLike, axis: number, start: number, stop?: number, step = 1): Tensor {
  const x = asTensor(value);
  const at = resolveAxis("slice", axis, x.shape);
  const n = x.shape[at]!;
  if (![start, stop ?? 0, step].every(Number.isInteger) || step === 0) {
    throw new RangeError(
      `slice: expected integer bounds and a step that is not 0, got ${start}, ${stop}, ${step} at axis ${axis} of ${shapeText(x.shape)}`,
    );
  }
  const [least, most] = step > 0 ? [0, n] : [-1, n - 1];
  const clip = (bound: number) => Math.min(Math.max(bound < 0 ? bound + n : bound, least), most);
  const from = clip(start);
  const to = stop === undefined ? (step > 0 ? n : -1) : clip(stop);
  const size = Math.max(0, Math.ceil((to - from) / step));
  const only = (chosen: number, other: readonly number[]) => other.map((rest, i) => (i === at ? chosen : rest));
  const zeros = x.shape.map(() => 0);
  return take(
    x,
    only(size === 0 ? 0 : from, zeros),
    only(size, x.shape),
    only(
      step,
      zeros.map(() => 1),
    ),
  );
}

/**
 * Reverses `x` along `axes`.
 * @shape x [...] → [...]
 */
export function flip(value: TensorLike, axes: number | readonly number[]): Tensor {
  const x = asTensor(value);
  const reversed = (typeof axes === "number" ? [axes] : axes).map((axis) => resolveAxis("flip", axis, x.shape));
  const back = (axis: number) => reversed.includes(axis) && x.shape[axis]! > 1;
  return take(
    x,
    x.shape.map((n, axis) => (back(axis) ? n - 1 : 0)),
    x.shape,
    x.shape.map((_, axis) => (back(axis) ? -1 : 1)),
  );
}

function take(x: Tensor, starts: readonly number[], sizes: Shape, steps: readonly number[]): Tensor {
  const whole = sizes.every((size, axis) => size === x.shape[axis] && steps[axis] === 1);
  return whole ? x : bindOne(slicePrimitive, [x], { starts, sizes, steps });
}

/** Per axis: number of elements added before the first, after the last and between neighbours, all equal to `value`. */
type PadParams = {
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly between: readonly number[];
  readonly value: number;
};

export const padPrimitive: Primitive<PadParams> = {
  name: "pad",
  type: ([x], { before, after, between }) => {
    const rank = x!.shape.length;
    const counts = [...before, ...after, ...between];
    if (counts.length !== 3 * rank || counts.some((n) => !Number.isInteger(n) || n < 0)) {
      const pairs = before.map((n, axis) => `[${n}, ${after[axis]}]`).join(", ");
      throw new RangeError(
        `pad: expected a pair [before, after] of counts for each axis of ${shapeText(x!.shape)}, got [${pairs}]`,
      );
    }
    const shape = x!.shape.map((n, axis) => before[axis]! + spread(n, between[axis]!) + after[axis]!);
    return [{ shape, dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x], cotangents: [dy], params: { before, between } }) => [
    take(
      dy!,
      before,
      x!.shape,
      between.map((n) => n + 1),
    ),
  ],
  lower: ({ graph, names, inputs: [x], params: { before, after, between, value } }) => {
    const filler = graph.scalar(value, x!.dtype);
    const spaced = between.some((n) => n > 0) ? lowerBetween(graph, names[0]!, x!, between, filler) : names[0]!;
    return [graph.node("Pad", [spaced, graph.ints([...before, ...after]), filler])];
  },
  evaluate: ([x], { before, between, value }, [output]) => {
    const result = new Float64Array(sizeOfShape(output!.shape)).fill(value);
    const outer = stridesOf(x!.shape);
    const strides = stridesOf(output!.shape);
    x!.data.forEach((element, flat) => {
      const offset = x!.shape.reduce((sum, n, axis) => {
        const i = Math.floor(flat / outer[axis]!) % n;
        return sum + (before[axis]! + i * (between[axis]! + 1)) * strides[axis]!;
      }, 0);
      result[offset] = element;
    });
    return [result];
  },
};

/** Extent of an axis of `n` elements with `between` more between neighbours. */
function spread(n: number, between: number): number {
  return n === 0 ? 0 : n + (n - 1) * between;
}

/** Makes every element a row of its own, padded at the end, then flattens the rows and cuts off the last padding. */
function lowerBetween(
  graph: GraphBuilder,
  name: string,
  x: ArrayType,
  between: readonly number[],
  filler: string,
): string {
  const rows = x.shape.flatMap((n) => [n, 1]);
  const behind = between.flatMap((n) => [0, n]);
  const long = x.shape.map((n, axis) => n * (between[axis]! + 1));
  const allowzero = { attributes: { allowzero: { int: 1 } } };
  const padded = graph.node("Pad", [
    graph.node("Reshape", [name, graph.ints(rows)], allowzero),
    graph.ints([...rows.map(() => 0), ...behind]),
    filler,
  ]);
  return graph.node("Slice", [
    graph.node("Reshape", [padded, graph.ints(long)], allowzero),
    graph.ints(long.map(() => 0)),
    graph.ints(x.shape.map((n, axis) => spread(n, between[axis]!))),
  ]);
}

/**
 * `x` with elements equal to `filler` added before and after it along each axis. Default of `filler`: 0.
 *
 * @param widths a pair `[before, after]` for each axis, none negative
 * @shape x [..., N, ...] → [..., before + N + after, ...]
 * @throws RangeError when the number of pairs is not the rank, or a count is negative
 */
export function pad(value: TensorLike, widths: readonly (readonly [number, number])[], filler = 0): Tensor {
  const x = asTensor(value);
  if (widths.length === x.shape.length && widths.every(([before, after]) => before === 0 && after === 0)) return x;
  return spacedPad(
    x,
    widths,
    x.shape.map(() => 0),
    filler,
  );
}

/** {@link pad} that also inserts `between[axis]` elements between neighbours. */
export function spacedPad(
  x: Tensor,
  widths: readonly (readonly [number, number])[],
  between: readonly number[],
  value = 0,
): Tensor {
  const before = widths.map((pair) => pair[0]);
  return bindOne(padPrimitive, [x], { before, after: widths.map((pair) => pair[1]), between, value });
}
