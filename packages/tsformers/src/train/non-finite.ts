import {
  type Compiled,
  cast,
  compile,
  type Device,
  flatten,
  type Given,
  isFloat,
  isTensor,
  type NDArray,
  not,
  readTree,
  sum,
  type Tensor,
} from "@tsformers/engine";
import type { Symbolic } from "../objectives/objective.ts";
import { areFinite, type Control, type TrainState, type TrainStep } from "./step.ts";

/** A step of a run gave NaN or infinite numbers. */
export class NonFiniteError extends Error {
  override readonly name = "NonFiniteError";
  readonly step: number;

  constructor(step: number, message: string) {
    super(`step ${step}: ${message}`);
    this.step = step;
  }
}

/**
 * Finds where a step with a non-finite loss or gradient norm went wrong, by computing it again.
 *
 * @param state the state before the step
 * @returns an error that names the first non-finite parameter or, if there is none, the first non-finite gradient,
 *   in the order of the backward pass, which is roughly the reverse order of the parameters
 */
export async function explainNonFinite<Params, B>(
  step: number,
  { gradients: slopes }: TrainStep<Params, B>,
  device: Device,
  state: Given<TrainState<Params>>,
  batch: Given<Symbolic<B>>,
  control: Given<Control>,
): Promise<NonFiniteError> {
  let paths: readonly string[] = [];
  const inspect = (state: TrainState<Params>, batch: Symbolic<B>, control: Control) => {
    const { loss, gradients } = slopes(state, batch, control);
    const params = flatten(state.params, isTensor);
    paths = params.paths;
    return {
      loss,
      params: params.leaves.map(countOthers),
      gradients: flatten(gradients, isTensor).leaves.map(countOthers),
    };
  };
  const compiled = compile(inspect, { device }) as unknown as Compiled<
    [unknown, unknown, unknown],
    ReturnType<typeof inspect>
  >;
  try {
    const found = await readTree(await compiled(state, batch, control));
    const at = (counts: readonly NDArray[]) => counts.findLastIndex((count) => count.item() > 0);
    const [parameter, gradient] = [at(found.params), at(found.gradients)];
    const loss = found.loss.item();
    const what = Number.isFinite(loss) ? "the gradients are not finite" : `the loss is ${loss}`;
    if (parameter >= 0)
      return new NonFiniteError(step, `${what}; already before the step the parameter ${paths[parameter]} was not`);
    if (gradient >= 0) return new NonFiniteError(step, `${what}; first non-finite gradient: ${paths[gradient]}`);
    return new NonFiniteError(step, `${what}, though each gradient is: their norm overflows float32`);
  } finally {
    await compiled.release();
  }
}

/** Number of elements that are not finite. */
function countOthers(x: Tensor): Tensor {
  return sum(cast(not(areFinite(isFloat(x.dtype) ? x : cast(x, "float32"))), "float32"));
}
