import {
  add,
  bitField,
  type Concrete,
  cond,
  constant,
  convert,
  equal,
  foldKey,
  interpret,
  keyToArray,
  mod,
  ndarray,
  type RandomKey,
  randomBits,
  type Shape,
  splitKeys,
  type Tensor,
  traceBody,
} from "@tsformers/engine";
import type { Context } from "../../kinds/layer.ts";
import type { Draw } from "./random-rows.ts";

/** Random features as they go from step to step. */
export type Drawn = {
  /** int32 [2]: everything is drawn under it. */
  key: Tensor;
  /** How many training passes there were, int32 []. */
  step: Tensor;
  /** What training looks along now, [..., M, D]. */
  matrix: Tensor;
  /** What evaluation looks along, where it is not the same. */
  fixed?: Tensor;
};

export type Redraw = {
  /** How many training passes look along the same rows; they are never drawn again unless told. */
  readonly every?: number;
  /** How many different matrices there are to draw from; without end unless told. */
  readonly pool?: number;
  /** Evaluation looks along the first matrix of all instead of the latest. */
  readonly evaluatesFirst?: true;
};

/** How a mixer comes by its random features, and when by new ones. */
export type Draws = {
  start(key: RandomKey): Concrete<Drawn>;
  /** [..., M, D] for this pass. */
  current(drawn: Drawn, context: Context): Tensor;
  /** What to hand to the next pass. */
  next(drawn: Drawn, context: Context): Drawn;
};

/**
 * A schedule of drawn matrices. What is drawn at a step depends on the key and the step alone, so a resumed training goes on as
 * if it had not stopped; of a pool nothing is stored, its matrix i is drawn under its key when wanted.
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
    current: ({ matrix, fixed }, { key }) => (key === undefined ? (fixed ?? matrix) : matrix),
    next: (drawn, { key }) => {
      if (key === undefined || every === undefined) return drawn;
      const step = add(drawn.step, 1);
      const fresh = () => numbered(drawn.key, step);
      const due = every === 1 ? fresh() : cond(equal(mod(step, every), 0), fresh, () => drawn.matrix);
      return { ...drawn, step, matrix: due };
    },
  };
}

/** The key of matrix 0. */
function firstKey(key: Tensor): Tensor {
  return foldKey(splitKeys(key, 2)[0]!, 0);
}

/** A number below `count`, int32 []. */
function chosen(key: Tensor, count: number): Tensor {
  return mod(bitField(randomBits(key, []), 0, 31), count);
}
