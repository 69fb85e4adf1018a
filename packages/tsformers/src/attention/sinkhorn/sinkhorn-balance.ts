import {
  add,
  exp,
  log,
  logSoftmax,
  logSumExp,
  maximum,
  mul,
  neg,
  pad,
  randomUniform,
  type Shape,
  slice,
  stopGradient,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import { hidden } from "../core/query-block.ts";

/** Logarithms of the column sums that each row is divided by: logits [..., N, N] → [..., N or 1, N]. */
export type ColumnSums = (logits: Tensor) => Tensor;

/**
 * Sums of whole columns, as published. Under a causal mask later rows then change earlier ones: how much of a source block
 * an early row gets depends on how much later rows ask for.
 */
export const overAllRows: ColumnSums = (logits) => logSumExp(logits, { axes: -2, keepDims: true });

/** Sums over the rows up to each row: each row is divided by what it and earlier rows ask for, and nothing depends on later rows. */
export const overRowsSoFar: ColumnSums = (logits) => {
  const rows = logits.shape.at(-2)!;
  let sums = logits;
  for (let reach = 1; reach < rows; reach *= 2) sums = logAddExp(sums, shiftDown(sums, reach));
  return sums;
};

/** `log(eᵃ + eᵇ)` without overflow. */
export function logAddExp(a: Tensor, b: Tensor): Tensor {
  const top = stopGradient(maximum(a, b));
  return add(top, log(add(exp(sub(a, top)), exp(sub(b, top)))));
}

function shiftDown(x: Tensor, rows: number): Tensor {
  const axis = x.shape.length - 2;
  const widths = x.shape.map((_, at): [number, number] => [at === axis ? rows : 0, 0]);
  return pad(slice(x, axis, 0, x.shape[axis]! - rows), widths, hidden);
}

export type Balancing = {
  /** How many times rows, then columns, are normalised to sum 1. */
  readonly iterations: number;
  readonly temperature: number;
  /** Default: {@link overAllRows}. */
  readonly columns?: ColumnSums;
  /** Visible entries, bool, broadcast to [..., N, N]; the others come out as 0. Default: all. */
  readonly visible?: Tensor;
};

/**
 * Sinkhorn balancing: alternately normalises rows and columns to sum 1, which brings the matrix near to a permutation.
 *
 * With `x = logits / temperature`, repeatedly `x[i,j] −= log Σ_j exp x[i,j]`, then `x[i,j] −= log Σ_i exp x[i,j]`; the result is
 * `exp x`. Sums run over visible entries; rows without any come out as 0.
 *
 * @shape  logits [..., N, N] → [..., N, N]
 * @cost   O(N²·iterations) time; {@link overRowsSoFar}: O(N²·log N·iterations)
 * @source Tay et al. 2020, "Sparse Sinkhorn Attention", §3.1, arXiv:2002.11296; Sinkhorn 1964
 */
export function balance(
  logits: Tensor,
  { iterations, temperature, columns = overAllRows, visible }: Balancing,
): Tensor {
  let x = mul(logits, 1 / temperature);
  if (visible === undefined && columns === overAllRows) {
    for (let i = 0; i < iterations; i++) x = logSoftmax(logSoftmax(x, -1), -2);
    return exp(x);
  }
  // Normalisation gives entries of fully hidden rows and columns a value: they are hidden again each time.
  const mask = (x: Tensor): Tensor => (visible === undefined ? x : where(visible, x, hidden));
  x = mask(x);
  for (let i = 0; i < iterations; i++) {
    x = mask(logSoftmax(x, -1));
    x = mask(sub(x, columns(x)));
  }
  return exp(x);
}

/** Gumbel noise, `−log(−log u)` with u uniform. */
export function gumbelNoise(key: Tensor, shape: Shape): Tensor {
  return gumbelOf(randomUniform(key, shape));
}

/**
 * `−log(−log u)` of uniform numbers that are multiples of 2⁻²⁴, 0 ≤ u < 1, finite for each: 0 counts as 2⁻²⁵. (To add half a multiple to all would
 * round the largest to 1, which has no such logarithm; a step draws enough numbers to meet it within a thousand steps.)
 */
export function gumbelOf(u: Tensor): Tensor {
  return neg(log(neg(log(maximum(u, 2 ** -25)))));
}
