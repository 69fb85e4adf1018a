import { isFloat } from "../array/dtype.ts";
import { fromNumbers } from "../array/nd-array.ts";
import { shapesEqual, shapeText, sizeOfShape } from "../array/shape.ts";
import { pullback } from "../grad/reverse.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import { interpretReference } from "../trace/interpret.ts";
import { isTensor, type Program, traceBody } from "../trace/program.ts";
import { bind, type Tensor } from "../trace/tensor.ts";
import { flatten, unflatten } from "../tree/tree.ts";
import { add } from "./arithmetic.ts";
import { zerosLike } from "./iota.ts";
import type { ArrayType, LoweringContext, Primitive } from "./primitive.ts";

/**
 * Inputs: carries, stacked xs, captured. Outputs: last carries, stacked ys, and the carries before each
 * step, which only the gradient reads (a lowering leaves out unused outputs).
 */
export type ScanParams = {
  /** (carries…, one slice of each x…, captured…) → (carries…, ys…) */
  readonly body: Program;
  readonly length: number;
  readonly carries: number;
  readonly xs: number;
  /** Run from the last slice to the first. */
  readonly reverse: boolean;
  readonly unroll: boolean;
};

/** Bodies that are repeated at most this often are written out. */
const unrollUpTo = 4;

export const scanPrimitive: Primitive<ScanParams> = {
  name: "scan",
  type: (_, { body, length, carries }) => {
    const plain = ({ shape, dtype }: ArrayType): ArrayType => ({ shape, dtype });
    const stacked = ({ shape, dtype }: ArrayType): ArrayType => ({ shape: [length, ...shape], dtype });
    const last = body.outputs.slice(0, carries);
    return [...last.map(plain), ...body.outputs.slice(carries).map(stacked), ...last.map(stacked)];
  },
  gradient: ({ inputs, outputs, params, cotangents, wanted }) => {
    const { body, length, carries, xs, reverse, unroll } = params;
    const ys = body.outputs.length - carries;
    const before = outputs.slice(carries + ys);
    const captured = inputs.slice(carries + xs);
    const types = body.inputs.slice(0, carries + xs);
    const isCarried = (i: number) => isFloat(body.inputs[i]!.dtype);
    const carriedGradients = range(carries).filter(isCarried);
    const wantedCaptured = range(captured.length).filter((i) => wanted[carries + xs + i]);
    const wantedXs = range(xs).filter((i) => isFloat(types[carries + i]!.dtype));
    const seenYs = range(ys).filter((i) => cotangents[carries + i] !== undefined);
    const initial = [
      ...carriedGradients.map((i) => cotangents[i] ?? zerosLike(body.outputs[i]!)),
      ...wantedCaptured.map((i) => zerosLike(captured[i]!)),
    ];
    // Only a second derivative uses the gradients of the carries before each step.
    const seenBefore = carriedGradients.filter((i) => cotangents[carries + ys + i] !== undefined);
    const slices = [
      ...before,
      ...inputs.slice(carries, carries + xs),
      ...seenYs.map((i) => cotangents[carries + i]!),
      ...seenBefore.map((i) => cotangents[carries + ys + i]!),
    ];
    const step = (carried: Tensor[], at: Tensor[]): [Tensor[], Tensor[]] => {
      const dCarries = carried.slice(0, carriedGradients.length);
      const sums = carried.slice(carriedGradients.length);
      const dOut = body.outputs.map((_, i): Tensor | undefined => {
        if (i < carries) return carriedGradients.includes(i) ? dCarries[carriedGradients.indexOf(i)] : undefined;
        const which = seenYs.indexOf(i - carries);
        return which < 0 ? undefined : at[carries + xs + which];
      });
      const want = body.inputs.map(
        (input, i) => isFloat(input.dtype) && (i < carries + xs || wantedCaptured.includes(i - carries - xs)),
      );
      const gradients = pullback(body, [...at.slice(0, carries + xs), ...captured], dOut, want);
      const of = (i: number, like: Tensor) => gradients[i] ?? zerosLike(like);
      return [
        [
          ...carriedGradients.map((i) => {
            const which = seenBefore.indexOf(i);
            const gradient = of(i, body.inputs[i]!);
            return which < 0 ? gradient : add(gradient, at[carries + xs + seenYs.length + which]!);
          }),
          ...wantedCaptured.map((i, j) =>
            gradients[carries + xs + i] === undefined ? sums[j]! : add(sums[j]!, gradients[carries + xs + i]!),
          ),
        ],
        wantedXs.map((i) => of(carries + i, types[carries + i]!)),
      ];
    };
    const [last, dxs] = scanTensors(step, initial, slices, { length, reverse: !reverse, unroll });
    return inputs.map((_, i) => {
      if (i < carries) return carriedGradients.includes(i) ? last[carriedGradients.indexOf(i)] : undefined;
      if (i < carries + xs) return wantedXs.includes(i - carries) ? dxs[wantedXs.indexOf(i - carries)] : undefined;
      const which = wantedCaptured.indexOf(i - carries - xs);
      return which < 0 ? undefined : last[carriedGradients.length + which];
    });
  },
  lower: (context) => (context.params.unroll ? lowerUnrolled(context) : lowerScan(context)),
  evaluate: (inputs, { body, length, carries, xs, reverse }, outputs) => {
    const results: Float64Array[] = outputs.map(({ shape }) => new Float64Array(sizeOfShape(shape)));
    let state = inputs.slice(0, carries);
    const captured = inputs.slice(carries + xs);
    const ys = body.outputs.length - carries;
    for (let i = 0; i < length; i++) {
      const at = reverse ? length - 1 - i : i;
      const slices = inputs.slice(carries, carries + xs).map(({ shape, dtype, data }) => {
        const size = data.length / length;
        return { shape: shape.slice(1), dtype, data: data.subarray(at * size, (at + 1) * size) };
      });
      state.forEach(({ data }, j) => {
        results[carries + ys + j]!.set(data, at * data.length);
      });
      const out = interpretReference(body, [...state, ...slices, ...captured]);
      state = out.slice(0, carries);
      out.slice(carries).forEach(({ data }, j) => {
        results[carries + j]!.set(data, at * data.length);
      });
    }
    state.forEach(({ data }, j) => {
      results[j] = data;
    });
    return results;
  },
};

function lowerUnrolled({ graph, names, inputs, params, used }: LoweringContext<ScanParams>): string[] {
  const { body, length, carries, xs, reverse } = params;
  const captured = names.slice(carries + xs);
  const slices = names.slice(carries, carries + xs).map((name, i) => {
    const whole = inputs[carries + i]!;
    const parts =
      length === 1
        ? [name]
        : graph.nodeWithOutputs("Split", [name], length, {
            attributes: { axis: { int: 0 }, num_outputs: { int: length } },
          });
    return parts.map((part) => graph.node("Reshape", [part, graph.ints(whole.shape.slice(1))]));
  });
  let state = names.slice(0, carries);
  const stacks = body.outputs.map((): string[] => []);
  const before = range(carries).map((): string[] => []);
  for (const i of range(length)) {
    const at = reverse ? length - 1 - i : i;
    state.forEach((name, j) => {
      before[j]![at] = name;
    });
    const out = graph.inline(body, [...state, ...slices.map((parts) => parts[at]!), ...captured]);
    state = out.slice(0, carries);
    out.slice(carries).forEach((name, j) => {
      stacks[j]![at] = name;
    });
  }
  const stack = (parts: readonly string[], type: ArrayType, wanted: boolean): string => {
    if (!wanted) return "";
    const rows = parts.map((part) => graph.node("Reshape", [part, graph.ints([1, ...type.shape])]));
    return rows.length === 1 ? rows[0]! : graph.node("Concat", rows, { attributes: { axis: { int: 0 } } });
  };
  const ys = body.outputs.length - carries;
  return [
    ...state,
    ...range(ys).map((j) => stack(stacks[j]!, body.outputs[carries + j]!, used[carries + j]!)),
    ...range(carries).map((j) => stack(before[j]!, body.outputs[j]!, used[carries + ys + j]!)),
  ];
}

function lowerScan({ graph, names, params, outputs, used }: LoweringContext<ScanParams>): string[] {
  const { body, carries, xs, length, reverse } = params;
  const ys = body.outputs.length - carries;
  const own = body.inputs.slice(0, carries + xs);
  const ownNames = own.map(() => graph.fresh("s"));
  const kept = range(outputs.length).filter((i) => i < carries || used[i]);
  const declared = own.map(({ shape, dtype }, i) => ({ name: ownNames[i]!, dtype, shape }));
  // ONNX's Scan needs a scanned input: a plain loop scans a counter.
  const counter = xs > 0 ? [] : [{ name: graph.fresh("s"), dtype: "int32" as const, shape: [] }];
  const counted = xs > 0 ? [] : [graph.constant(fromNumbers(range(length), [length], "int32"))];
  const nested = graph.nested("scan", [...declared, ...counter], (inner) => {
    const results = inner.inline(body, [...ownNames, ...names.slice(carries + xs)]);
    const all = [...results, ...ownNames.slice(0, carries)];
    const types = [...body.outputs, ...body.outputs.slice(0, carries)];
    // Each output of a nested graph must be a separate value made inside it.
    return kept.map((i) => ({ name: identity(inner, all[i]!), dtype: types[i]!.dtype, shape: types[i]!.shape }));
  });
  const direction = reverse ? 1 : 0;
  const scanned = xs + counted.length;
  const values = graph.nodeWithOutputs("Scan", [...names.slice(0, carries + xs), ...counted], kept.length, {
    attributes: {
      body: { graph: nested },
      num_scan_inputs: { int: scanned },
      scan_input_directions: { ints: range(scanned).map(() => direction) },
      scan_output_directions: { ints: range(kept.length - carries).map(() => direction) },
    },
  });
  return range(carries + ys + carries).map((i) => (kept.includes(i) ? values[kept.indexOf(i)]! : ""));
}

function identity(graph: GraphBuilder, name: string): string {
  return graph.node("Identity", [name]);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

type ScanOptions = { readonly length: number; readonly reverse: boolean; readonly unroll: boolean };

function scanTensors(
  step: (carries: Tensor[], slices: Tensor[]) => readonly [readonly Tensor[], readonly Tensor[]],
  initial: readonly Tensor[],
  stacked: readonly Tensor[],
  options: ScanOptions,
): [Tensor[], Tensor[]] {
  const types: ArrayType[] = [...initial, ...stacked.map(({ shape, dtype }) => ({ shape: shape.slice(1), dtype }))];
  const { program, captured } = traceBody(types, (inputs) => {
    const [next, out] = step(inputs.slice(0, initial.length), inputs.slice(initial.length));
    next.forEach((tensor, i) => {
      if (!shapesEqual(tensor.shape, initial[i]!.shape) || tensor.dtype !== initial[i]!.dtype) {
        throw new RangeError(`scan: carry ${i} starts as ${initial[i]} and comes out of a step as ${tensor}`);
      }
    });
    return [...next, ...out];
  });
  const params = { body: program, carries: initial.length, xs: stacked.length, ...options };
  const results = bind(scanPrimitive, [...initial, ...stacked, ...captured], params);
  return [results.slice(0, initial.length), results.slice(initial.length, program.outputs.length)];
}

/**
 * Repeats `step` along the leading axis of `xs`, passing on a carry: `(carry, x[i]) → [carry, y[i]]`.
 *
 * Carry, `xs` and `y` are trees of tensors. Default of `unroll`: short scans are written out, long ones become one ONNX Scan node.
 * The gradient stores only the carries, and recomputes each step.
 *
 * @param length number of steps, needed if `xs` has no tensors
 * @returns the last carry and the stacked `y`
 */
export function scan<Carry, X, Y>(
  step: (carry: Carry, x: X) => readonly [Carry, Y],
  initial: Carry,
  xs: X,
  options: { readonly length?: number; readonly reverse?: boolean; readonly unroll?: boolean } = {},
): [Carry, Y] {
  const carry = flatten(initial, isTensor);
  const slices = flatten(xs, isTensor);
  const length = options.length ?? slices.leaves[0]?.shape[0];
  if (length === undefined) throw new RangeError("scan: without tensors in xs the option `length` is needed");
  for (const tensor of slices.leaves) {
    if (tensor.shape[0] !== length)
      throw new RangeError(`scan: expected leading axes of ${length}, got ${shapeText(tensor.shape)}`);
  }
  let structureOfY = slices.structure;
  const [last, ys] = scanTensors(
    (carries, at) => {
      const [next, y] = step(unflatten(carry.structure, carries) as Carry, unflatten(slices.structure, at) as X);
      const out = flatten(y, isTensor);
      structureOfY = out.structure;
      return [leavesAt(carry.paths, next), out.leaves];
    },
    carry.leaves,
    slices.leaves,
    { length, reverse: options.reverse ?? false, unroll: options.unroll ?? length <= unrollUpTo },
  );
  return [unflatten(carry.structure, last) as Carry, unflatten(structureOfY, ys) as Y];
}

/** The leaves of a carry in the order of its first one: that of the keys of an object is of no importance. */
function leavesAt(paths: readonly string[], carry: unknown): Tensor[] {
  const found = flatten(carry, isTensor);
  const leaves = new Map(found.paths.map((path, i) => [path, found.leaves[i]!] as const));
  const known = new Set(paths);
  const missing = paths.filter((path) => !leaves.has(path));
  const added = found.paths.filter((path) => !known.has(path));
  if (missing.length > 0 || added.length > 0) {
    const said = [
      missing.length > 0 && `without ${missing.join(", ")}`,
      added.length > 0 && `with ${added.join(", ")}`,
    ];
    throw new RangeError(
      `scan: a step must return a carry like the first one, got one ${said.filter(Boolean).join(" and ")}`,
    );
  }
  return paths.map((path) => leaves.get(path)!);
}

/** Repeats `step` a fixed number of times. See {@link scan}. */
export function loop<Carry>(count: number, step: (carry: Carry) => Carry, initial: Carry): Carry {
  return scan((carry: Carry) => [step(carry), []] as const, initial, [], { length: count })[0];
}
