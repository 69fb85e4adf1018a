import { shapesEqual } from "../array/shape.ts";
import { pullback } from "../grad/reverse.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import { interpretReference } from "../trace/interpret.ts";
import { type EquationWriter, inline, isTensor, Program, traceBody } from "../trace/program.ts";
import { bind, type Tensor } from "../trace/tensor.ts";
import { flatten, unflatten } from "../tree/tree.ts";
import { add } from "./arithmetic.ts";
import { after } from "./identity.ts";
import type { GradientContext, Primitive } from "./primitive.ts";

type CallParams = {
  readonly program: Program;
  /** How the nested program is differentiated: by recomputing it, or by a rule given by the user. */
  readonly rule: (context: GradientContext<CallParams>) => (Tensor | undefined)[];
  /** Nodes of ONNX Runtime's own operators that give the same, where they may be used. */
  readonly write?: WriteNodes;
};

/** Appends nodes that compute all outputs from the values `names`, and returns the names of the outputs. */
export type WriteNodes = (graph: Pick<GraphBuilder, "node" | "nodeWithOutputs">, names: readonly string[]) => string[];

/** A nested program with its own gradient rule. The lowering writes its equations in place. */
export const callPrimitive: Primitive<CallParams> = {
  name: "call",
  type: (_, { program }) => program.outputs.map(({ shape, dtype }) => ({ shape, dtype })),
  gradient: (context) => context.params.rule(context),
  lower: ({ graph, names, params: { program, write }, used }) => {
    if (write !== undefined && !graph.options.portable) return write(graph, names);
    if (!used.includes(false)) return graph.inline(program, names);
    // Nodes nobody reads are not dropped by the runtime: it leaves them to the end, and keeps what they read until then.
    const wanted = program.outputs.filter((_, i) => used[i]);
    const results = graph.inline(new Program(program.inputs, program.equations, wanted), names);
    let next = 0;
    return used.map((one) => (one ? results[next++]! : ""));
  },
  evaluate: (inputs, { program }) => interpretReference(program, inputs).map(({ data }) => data),
};

export function call(types: readonly Tensor[], body: (inputs: Tensor[]) => unknown, rule: CallParams["rule"]): unknown {
  const { program, captured, structure } = traceBody(types, body);
  return unflatten(structure, bind(callPrimitive, [...types, ...captured], { program, rule }));
}

/**
 * Gradient checkpointing: `fn`, whose intermediates are discarded after the forward pass and recomputed for the gradient.
 * Costs one more forward pass of `fn`; saves the memory of everything between its inputs and outputs.
 *
 * @source Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174
 */
export function recompute<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
): (...args: Args) => Result {
  return (...args) => {
    const { leaves, structure } = flatten(args, isTensor);
    const body = (inputs: Tensor[]) => fn(...(unflatten(structure, inputs) as unknown as Args));
    return call(leaves, body, recomputeRule) as Result;
  };
}

/**
 * `fn`, which an operator of ONNX Runtime computes faster. Portable models have `fn` as it is written, and so has its gradient, which
 * computes `fn` again.
 *
 * @param write nodes of contrib operators that compute what `fn` does
 * @throws TypeError when `fn` reads other tensors than its arguments
 */
export function withOperator(
  write: WriteNodes,
  fn: (...args: Tensor[]) => readonly Tensor[],
): (...args: Tensor[]) => readonly Tensor[] {
  return (...args) => {
    const { program, captured } = traceBody(args, (inputs) => fn(...inputs));
    if (captured.length > 0)
      throw new TypeError(
        `withOperator: expected a function of its ${args.length} arguments alone, it reads ${captured[0]}, too`,
      );
    return bind(callPrimitive, args, { program, rule: operatorRule, write });
  };
}

const operatorRule: CallParams["rule"] = ({ inputs, params, cotangents, wanted }) =>
  pullback(params.program, inputs, cotangents, wanted);

const recomputeRule: CallParams["rule"] = ({ inputs, params, cotangents, wanted }) => {
  const incoming = cotangents.find((cotangent) => cotangent !== undefined)!;
  // The largest argument carries the activations: making it wait for the gradient holds back everything computed from it.
  const largest = inputs.reduce((best, input) => (size(input) > size(best) ? input : best));
  const tied = inputs.map((input) => (input === largest ? after(input, incoming) : input));
  const gradients = pullback(params.program, tied, cotangents, wanted);
  // What comes before waits for all of them: a parameter's gradient left for later would keep the activations that it is made of.
  const at = inputs.indexOf(largest);
  const others = gradients.filter((gradient, i) => i !== at && gradient !== undefined) as Tensor[];
  return gradients.map((gradient, i) => (i === at && gradient !== undefined ? after(gradient, ...others) : gradient));
};

/** One part of {@link recomputeEach}: `fn` of `x`, where everything costly depends on `x`. */
export type RecomputedPart = { readonly x: Tensor; readonly fn: (x: Tensor) => readonly Tensor[] };

/**
 * Functions that are each recomputed for the gradient, one after the other, from the last to the first: only the intermediates
 * of one part at a time are in memory. Other tensors that the functions read get gradients, too, summed over the parts
 * one by one.
 *
 * With `recompute` on each part, the runtime would choose the order, and might start all of them before finishing one.
 */
export function recomputeEach(parts: readonly RecomputedPart[]): Tensor[][] {
  const closed = parts.map(({ x, fn }) => traceBody([x], ([inner]) => fn(inner!)));
  const shared = [...new Set(closed.flatMap(({ captured }) => captured))];
  const place = new Map(shared.map((tensor, i) => [tensor, parts.length + i]));
  // Indices of part i's inputs among those of the whole: its own, then the shared ones that it reads.
  const sources = closed.map(({ captured }, i) => [i, ...captured.map((one) => place.get(one)!)]);
  const counts = closed.map(({ program }) => program.outputs.length);
  const firsts = counts.map((_, i) => counts.slice(0, i).reduce((a, b) => a + b, 0));
  const write = (inputs: readonly Tensor[]) => {
    const outputs: Tensor[][] = [];
    // From last to first here, too: if later parts are larger, the memory of the first of them suffices for all others.
    for (let i = parts.length - 1; i >= 0; i--) {
      const own = sources[i]!.map((j) => inputs[j]!);
      const next = outputs[i + 1];
      if (next !== undefined) own[0] = after(own[0]!, next[0]!);
      const emit: EquationWriter = ({ primitive, params }, read) => bind(primitive, read, params);
      outputs[i] = inline(closed[i]!.program, own, emit);
    }
    return outputs.flat();
  };
  const rule: CallParams["rule"] = ({ inputs, cotangents, wanted }) => {
    const sums: (Tensor | undefined)[] = inputs.map(() => undefined);
    let done: Tensor[] = [];
    for (let i = parts.length - 1; i >= 0; i--) {
      const incoming = cotangents.slice(firsts[i], firsts[i]! + counts[i]!);
      const at = incoming.findIndex((cotangent) => cotangent !== undefined);
      if (at < 0) continue;
      const from = sources[i]!;
      const turn = after(incoming[at]!, ...done);
      incoming[at] = turn;
      const own = from.map((j, k) => (k === 0 ? after(inputs[j]!, turn) : inputs[j]!));
      const want = from.map((j) => wanted[j]!);
      done = [];
      pullback(closed[i]!.program, own, incoming, want).forEach((gradient, k) => {
        if (gradient === undefined) return;
        const sum = sums[from[k]!];
        const total = sum === undefined ? gradient : add(sum, gradient);
        sums[from[k]!] = total;
        done.push(total);
      });
    }
    return sums;
  };
  const outputs = call([...parts.map(({ x }) => x), ...shared], write, rule) as Tensor[];
  return counts.map((count, i) => outputs.slice(firsts[i], firsts[i]! + count));
}

function size(tensor: Tensor): number {
  return tensor.dtype === "float32" || tensor.dtype === "float16" ? tensor.shape.reduce((a, b) => a * b, 1) : 0;
}

/** Arguments of the backward rule of {@link customGradient}. */
export type CustomGradientContext = {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** d loss / d output; `undefined` means zero. */
  readonly cotangents: readonly (Tensor | undefined)[];
};

/**
 * A function of tensors with its own gradient rule. Further outputs, which the caller need not use, can carry intermediates that
 * the rule needs. Tensors that `forward` reads from outside get no gradient: pass them as arguments.
 *
 * @throws RangeError when the rule returns a gradient with another shape than its input
 */
export function customGradient(rules: {
  readonly forward: (...inputs: Tensor[]) => readonly Tensor[];
  readonly backward: (context: CustomGradientContext) => readonly (Tensor | undefined)[];
}): (...inputs: readonly Tensor[]) => Tensor[] {
  return (...inputs) =>
    call(
      inputs,
      (args) => rules.forward(...args),
      (context) => {
        const gradients = rules.backward({ ...context, inputs: context.inputs.slice(0, inputs.length) });
        gradients.forEach((gradient, i) => {
          if (gradient !== undefined && !shapesEqual(gradient.shape, context.inputs[i]!.shape)) {
            throw new RangeError(
              `customGradient: the gradient of input ${i} is ${gradient}, the input is ${context.inputs[i]}`,
            );
          }
        });
        return context.inputs.map((_, i) => gradients[i]);
      },
    ) as Tensor[];
}
