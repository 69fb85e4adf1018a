import { shapesEqual } from "../array/shape.ts";
import { replay, write } from "../grad/reverse.ts";
import { type EquationWriter, inline, type Program, traceBody } from "../trace/program.ts";
import type { Tensor } from "../trace/tensor.ts";
import { add, sub } from "./arithmetic.ts";
import { call } from "./call.ts";
import { after, keptPrimitive } from "./identity.ts";

/** Computes from one stream what is added to the other, and any further results. */
export type ReversibleStep = (x: Tensor) => readonly [added: Tensor, ...others: Tensor[]];

/** Both streams after the last step, and the further results of each step. */
export type ReversibleResult = {
  readonly streams: readonly [Tensor, Tensor];
  readonly others: readonly (readonly Tensor[])[];
};

/** A step as a program of its source stream and of the tensors that it reads from outside. */
type ClosedStep = {
  readonly program: Program;
  /** Indices of its captured tensors among those of all steps. */
  readonly reads: readonly number[];
  /** Which of its inputs must be made to wait for the source stream, see {@link loose}. */
  readonly waiting: ReadonlySet<number>;
};

/**
 * Reversible residual steps, which add in turn to each stream a function of the other:
 * `a ← a + f₀(b)`, `b ← b + f₁(a)`, `a ← a + f₂(b)`, … Only the last pair is kept for the gradient: each step is
 * undone, `b ← b − f₁(a)`, while its gradient is taken, so that memory does not grow with the number of steps.
 *
 * Other tensors that the steps read (parameters, random keys, masks) get gradients, too, summed over the steps.
 * Random draws of a step are repeated from the same key; values marked by {@link kept} are stored instead of recomputed.
 *
 * The streams before a step are recovered up to rounding: in float32 about one digit is lost over tens of steps, in float16
 * all digits, so keep the streams in float32.
 *
 * @shape  streams, and what is added to them: all the same
 * @cost   one more forward pass
 * @source Gomez et al. 2017, "The Reversible Residual Network: Backpropagation Without Storing Activations", arXiv:1707.04585
 * @throws TypeError when a step's addition has another type than the streams
 */
export function reversibleSteps(
  streams: readonly [Tensor, Tensor],
  steps: readonly ReversibleStep[],
): ReversibleResult {
  const counts: number[] = [];
  const traced = steps.map((step, i) => {
    const { program, captured } = traceBody([streams[1 - (i % 2)]!], ([x]) => step(x!));
    const [added] = program.outputs;
    if (added === undefined || added.dtype !== streams[0].dtype || !shapesEqual(added.shape, streams[0].shape)) {
      throw new TypeError(
        `reversibleSteps: step ${i} adds ${added} to a stream ${streams[0]}; they must be of one type`,
      );
    }
    counts.push(program.outputs.length - 1);
    return { program, captured };
  });
  const shared = [...new Set(traced.flatMap(({ captured }) => captured))];
  const closed = traced.map(({ program, captured }): ClosedStep => {
    return { program, reads: captured.map((one) => shared.indexOf(one)), waiting: loose(program) };
  });
  const results = call(
    [...streams, ...shared],
    ([a, b, ...read]) => forward([a!, b!], closed, read),
    ({ inputs, outputs, cotangents, wanted }) => backward(closed, inputs.slice(2), outputs, cotangents, wanted),
  ) as Tensor[];
  let next = 2;
  const others = counts.map((count) => results.slice(next, (next += count)));
  return { streams: [results[0]!, results[1]!], others };
}

/** Both streams, the further results of all steps, then all kept values. */
function forward(start: readonly [Tensor, Tensor], steps: readonly ClosedStep[], read: readonly Tensor[]): Tensor[] {
  const streams: [Tensor, Tensor] = [...start];
  const others: Tensor[] = [];
  const keeps: Tensor[] = [];
  const keeping: EquationWriter = (equation, inputs) => {
    const results = write(equation, inputs);
    if (equation.primitive === keptPrimitive) keeps.push(...results);
    return results;
  };
  steps.forEach((step, i) => {
    const to = i % 2;
    const [added, ...further] = inline(step.program, given(step, streams[1 - to]!, read), keeping);
    streams[to] = add(streams[to]!, added!);
    others.push(...further);
  });
  return [...streams, ...others, ...keeps];
}

/** Undoes the steps from the last to the first, taking the gradient of each. */
function backward(
  steps: readonly ClosedStep[],
  read: readonly Tensor[],
  outputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
  wanted: readonly boolean[],
): (Tensor | undefined)[] {
  const streams: [Tensor, Tensor] = [outputs[0]!, outputs[1]!];
  const slopes = cotangents.slice(0, 2);
  const sums: (Tensor | undefined)[] = read.map(() => undefined);
  let [othersEnd, keptEnd] = [
    2 + steps.reduce((sum, { program }) => sum + program.outputs.length - 1, 0),
    outputs.length,
  ];
  let done: readonly Tensor[] = cotangents.filter((cotangent) => cotangent !== undefined);
  for (let i = steps.length - 1; i >= 0; i--) {
    const { program, reads } = steps[i]!;
    const [to, from] = [i % 2, 1 - (i % 2)];
    // The runtime orders by data dependencies only: a step waits until the previous one is done, including its parameters' gradients.
    streams[from] = after(streams[from]!, ...done);
    const keeps = outputs.slice(keptEnd - countKept(program), keptEnd);
    keptEnd -= keeps.length;
    let nextKept = 0;
    const replayed = replay(program, given(steps[i]!, streams[from]!, read), (equation, inputs) =>
      equation.primitive === keptPrimitive ? [keeps[nextKept++]!] : write(equation, inputs),
    );
    const othersStart = othersEnd - (program.outputs.length - 1);
    const gradients = replayed.pull(
      [slopes[to], ...cotangents.slice(othersStart, othersEnd)],
      [true, ...reads.map((j) => wanted[2 + j]!)],
    );
    othersEnd = othersStart;
    streams[to] = sub(streams[to]!, replayed.outputs[0]!);
    slopes[from] = sum(slopes[from], gradients[0]);
    reads.forEach((j, at) => {
      sums[j] = sum(sums[j], gradients[at + 1]);
    });
    done = [streams[to]!, slopes[from], ...reads.map((j) => sums[j])].filter((one) => one !== undefined);
  }
  return [...slopes, ...sums];
}

/** Inputs of a step; those in `waiting` are made to wait for the source. */
function given({ reads, waiting }: ClosedStep, source: Tensor, read: readonly Tensor[]): Tensor[] {
  return [source, ...reads.map((j, at) => (waiting.has(at + 1) ? after(read[j]!, source) : read[j]!))];
}

/**
 * The inputs that must be made to wait for input 0 so that all of a program's equations do, such as keys from which masks are drawn.
 * Otherwise the runtime may compute those equations for all steps at once.
 */
function loose({ inputs, equations }: Program): ReadonlySet<number> {
  const dependent = new Set([inputs[0]!]);
  const places = new Set<number>();
  for (const equation of equations) {
    if (!equation.inputs.some((input) => dependent.has(input))) {
      const known = equation.inputs.map((input) => inputs.indexOf(input)).filter((at) => at > 0);
      const ties = known
        .filter((at) => inputs[at]!.dtype !== "bool")
        .sort((a, b) => size(inputs[a]!) - size(inputs[b]!));
      if (ties.length === 0) continue;
      places.add(ties[0]!);
      dependent.add(inputs[ties[0]!]!);
    }
    for (const output of equation.outputs) dependent.add(output);
  }
  return places;
}

function size({ shape }: Tensor): number {
  return shape.reduce((a, b) => a * b, 1);
}

function countKept({ equations }: Program): number {
  return equations.filter(({ primitive }) => primitive === keptPrimitive).length;
}

function sum(a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined {
  return a === undefined || b === undefined ? (a ?? b) : add(a, b);
}
