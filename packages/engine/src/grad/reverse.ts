import { isFloat } from "../array/dtype.ts";
import { add } from "../primitives/arithmetic.ts";
import { type EquationWriter, inline, type Program } from "../trace/program.ts";
import { bind, currentScope, type Equation, type Tensor } from "../trace/tensor.ts";

/**
 * Reverse mode: walks equations from last to first and writes the gradient of each into the current scope.
 *
 * @param cotangents d loss / d output for each of `outputs`; `undefined` means zero
 * @returns d loss / d target for each of `targets`; `undefined` where the outputs do not depend on it
 */
export function backward(
  equations: readonly Equation[],
  outputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
  targets: readonly Tensor[],
): (Tensor | undefined)[] {
  const active = dependents(equations, targets);
  const gradients = new Map<Tensor, Tensor>();
  const accumulate = (tensor: Tensor, gradient: Tensor | undefined) => {
    if (gradient === undefined || !active.has(tensor)) return;
    const sum = gradients.get(tensor);
    gradients.set(tensor, sum === undefined ? gradient : add(sum, gradient));
  };
  outputs.forEach((output, i) => {
    accumulate(output, cotangents[i]);
  });
  for (const { primitive, inputs, outputs: results, params } of [...equations].reverse()) {
    const incoming = results.map((result) => gradients.get(result));
    const wanted = inputs.map((input) => active.has(input));
    if (!wanted.includes(true) || incoming.every((gradient) => gradient === undefined)) continue;
    const outgoing = primitive.gradient({ inputs, outputs: results, params, cotangents: incoming, wanted });
    inputs.forEach((input, i) => {
      if (wanted[i]) accumulate(input, outgoing[i]);
    });
  }
  return targets.map((target) => gradients.get(target));
}

/**
 * The gradient of a nested program: writes its equations, then those of its gradient, into the current scope.
 *
 * @returns d loss / d input for each wanted input
 */
export function pullback(
  program: Program,
  given: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
  wanted: readonly boolean[],
): (Tensor | undefined)[] {
  return replay(program, given).pull(cotangents, wanted);
}

/** A nested program written into this scope, and its gradient. */
export type Replay = {
  readonly outputs: readonly Tensor[];
  /** Writes the gradient: d loss / d input for each wanted input. */
  pull(cotangents: readonly (Tensor | undefined)[], wanted: readonly boolean[]): (Tensor | undefined)[];
};

/** Writes the equations of `program` into the current scope. Default of `emit`: each equation unchanged. */
export function replay(program: Program, given: readonly Tensor[], emit: EquationWriter = write): Replay {
  const scope = currentScope();
  const inputs = given.map((tensor) => scope.resolve(tensor));
  const start = scope.equations.length;
  const outputs = inline(program, inputs, emit);
  const equations = scope.equations.slice(start);
  return {
    outputs,
    pull: (cotangents, wanted) => {
      const targets = inputs.filter((_, i) => wanted[i]);
      const gradients = backward(equations, outputs, cotangents, targets);
      let next = 0;
      return inputs.map((_, i) => (wanted[i] ? gradients[next++] : undefined));
    },
  };
}

/** Writes an equation unchanged. */
export const write: EquationWriter = ({ primitive, params }, read) => bind(primitive, read, params);

/** Float tensors that depend on any of `targets`, the targets included. */
function dependents(equations: readonly Equation[], targets: readonly Tensor[]): ReadonlySet<Tensor> {
  const active = new Set(targets);
  for (const { inputs, outputs } of equations) {
    if (!inputs.some((input) => active.has(input))) continue;
    for (const output of outputs) if (isFloat(output.dtype)) active.add(output);
  }
  return active;
}
