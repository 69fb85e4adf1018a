import {
  add,
  and,
  bitField,
  type Concrete,
  cond,
  constant,
  convert,
  equal,
  foldKey,
  greater,
  interpret,
  keyToArray,
  mod,
  ndarray,
  type RandomKey,
  randomBits,
  type Shape,
  splitKeys,
  stopGradient,
  type Tensor,
  traceBody,
} from "@tsformers/engine";
import type { Context } from "../../kinds/layer.ts";
import type { Draw } from "./random-rows.ts";

/** Random features as training state. */
export type Drawn = {
  /** Random key from which every matrix is drawn, int32 [2]. */
  key: Tensor;
  /** Training passes so far, int32 []. */
  step: Tensor;
  /** The matrix of the latest training pass, [..., M, D]; before the first one that of the first. */
  matrix: Tensor;
  /** The matrix of evaluation, where it differs from that of training. */
  fixed?: Tensor;
};

export type Redraw = {
  /** Training passes between draws. Default: never drawn again. */
  readonly every?: number;
  /** How many different matrices there are to draw from. Default: unlimited. */
  readonly pool?: number;
  /** Evaluation uses the first matrix instead of the latest. */
  readonly evaluatesFirst?: true;
};

/** How a mixer gets its random features, and when they are drawn again. */
export type Draws = {
  start(key: RandomKey): Concrete<Drawn>;
  /** The matrix of this pass, [..., M, D], and the training state after it. */
  pass(drawn: Drawn, context: Context): { readonly matrix: Tensor; readonly next: Drawn };
};

/**
 * A schedule of random matrices. The matrix of a step depends only on the key and the step, so resumed training continues exactly;
 * a pool is not stored: its matrix i is drawn from the key when needed.
 *
 * A matrix is drawn where a training pass begins, never where one ends: a model is evaluated with the one that it was last trained with.
 *
 * @param draw draws a matrix of the given shape [..., M, D]
 * @throws RangeError when `every` is not a positive whole number
 */
export function draws(draw: Draw, shape: Shape, { every, pool, evaluatesFirst }: Redraw): Draws {
  if (every !== undefined && !(Number.isInteger(every) && every > 0)) {
    throw new RangeError(`draws: expected a positive number of passes between draws, got ${every}`);
  }
  const numbered = (key: Tensor, number: Tensor): Tensor => {
    const [matrixKey, choiceKey] = splitKeys(key, 2) as [Tensor, Tensor];
    return draw(foldKey(matrixKey, pool === undefined ? number : chosen(foldKey(choiceKey, number), pool)), shape);
  };
  return {
    start: (key) => {
      const words = keyToArray(key);
      const { program } = traceBody([], () => draw(firstKey(constant(words)), shape));
      const matrix = convert(interpret(program, [])[0]!, "float32");
      const first = { key: words, step: ndarray(0, [], "int32"), matrix };
      return evaluatesFirst ? { ...first, fixed: matrix } : first;
    },
    pass: (drawn, { key }) => {
      const { step, matrix, fixed } = drawn;
      if (key === undefined) return { matrix: fixed ?? matrix, next: drawn };
      if (every === undefined) return { matrix, next: drawn };
      const fresh = () => numbered(drawn.key, step);
      const isDue = and(greater(step, 0), equal(mod(step, every), 0));
      const current = stopGradient(every === 1 ? fresh() : cond(isDue, fresh, () => matrix));
      return { matrix: current, next: { ...drawn, step: add(step, 1), matrix: current } };
    },
  };
}

/** The key of matrix 0. */
function firstKey(key: Tensor): Tensor {
  return foldKey(splitKeys(key, 2)[0]!, 0);
}

/** A random number below `count`, int32 []. */
function chosen(key: Tensor, count: number): Tensor {
  return mod(bitField(randomBits(key, []), 0, 31), count);
}
