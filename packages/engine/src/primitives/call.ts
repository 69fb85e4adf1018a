import { shapesEqual } from "../array/shape.ts";
import { pullback } from "../grad/reverse.ts";
import { interpretReference } from "../trace/interpret.ts";
import { isTensor, type Program, traceBody } from "../trace/program.ts";
import { bind, type Tensor } from "../trace/tensor.ts";
import { flatten, unflatten } from "../tree/tree.ts";
import { after } from "./identity.ts";
import type { GradientContext, Primitive } from "./primitive.ts";

type CallParams = {
  readonly program: Program;
  /** How the nested program is differentiated: by computing it again, or by a rule of its author. */
  readonly rule: (context: GradientContext<CallParams>) => (Tensor | undefined)[];
};

/** A nested program with its own gradient rule. The lowering writes its equations in place. */
export const callPrimitive: Primitive<CallParams> = {
  name: "call",
  type: (_, { program }) => program.outputs.map(({ shape, dtype }) => ({ shape, dtype })),
  gradient: (context) => context.params.rule(context),
  lower: ({ graph, names, params }) => graph.inline(params.program, names),
  evaluate: (inputs, { program }) => interpretReference(program, inputs).map(({ data }) => data),
};

function call(types: readonly Tensor[], body: (inputs: Tensor[]) => unknown, rule: CallParams["rule"]): unknown {
  const { program, captured, structure } = traceBody(types, body);
  return unflatten(structure, bind(callPrimitive, [...types, ...captured], { program, rule }));
}

/**
 * `fn` with its intermediates forgotten after the forward pass and computed again for the gradient (gradient checkpointing).
 * Costs one more forward pass of `fn`; saves everything between its inputs and outputs.
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

const recomputeRule: CallParams["rule"] = ({ inputs, params, cotangents, wanted }) => {
  const incoming = cotangents.find((cotangent) => cotangent !== undefined)!;
  // The largest argument carries the activations: making it wait for the gradient holds back everything computed from it.
  const largest = inputs.reduce((best, input) => (size(input) > size(best) ? input : best));
  const tied = inputs.map((input) => (input === largest ? after(input, incoming) : input));
  return pullback(params.program, tied, cotangents, wanted);
};

function size(tensor: Tensor): number {
  return tensor.dtype === "float32" || tensor.dtype === "float16" ? tensor.shape.reduce((a, b) => a * b, 1) : 0;
}

/** What the backward rule of {@link customGradient} is given. */
export type CustomGradientContext = {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** d loss / d output; `undefined` means zero. */
  readonly cotangents: readonly (Tensor | undefined)[];
};

/**
 * A function of tensors with a gradient rule of your own. Outputs beyond those used by the caller may carry whatever the
 * rule wants to see again. Tensors that `forward` reads from around it get no gradient: pass them as arguments.
 *
 * @throws RangeError when the rule returns a gradient whose shape is not its input's
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
