import {
  add,
  constant,
  div,
  expandDims,
  iota,
  matmul,
  mul,
  ndarray,
  oneHot,
  randomNormal,
  reshape,
  type Shape,
  scan,
  slice,
  splitKeys,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  transpose,
  zeros,
} from "@tsformers/engine";

/** Draws a random matrix whose rows of width D define random features, [..., M, D]. */
export type Draw = (key: Tensor, shape: Shape) => Tensor;

/** Independent standard normal numbers. */
export const gaussianRows: Draw = (key, shape) => randomNormal(key, shape);

/** Draws lengths of rows: shape [..., M, D] → lengths [..., M, 1]. */
export type RowLengths = (key: Tensor, shape: Shape) => Tensor;

/** The lengths of standard normal vectors: each single row then has the distribution of {@link gaussianRows}. */
export const gaussianLengths: RowLengths = (key, shape) =>
  sqrt(sum(square(randomNormal(key, shape)), { axes: shape.length - 1, keepDims: true }));

/** √D for all rows, the root mean square of {@link gaussianLengths}. */
export const equalLengths: RowLengths = (_, shape) =>
  reshape(
    constant(ndarray([Math.sqrt(shape.at(-1)!)])),
    shape.map(() => 1),
  );

/**
 * Rows orthogonal to each other in blocks of D, in uniformly distributed directions: the kernel estimate has a lower variance
 * than with independent rows. Default: {@link gaussianLengths}.
 *
 * @source Choromanski et al. 2021, "Rethinking Attention with Performers", §2.4, arXiv:2009.14794
 */
export function orthogonalRows(lengths: RowLengths = gaussianLengths): Draw {
  return (key, shape) => {
    const [count, width] = shape.slice(-2) as [number, number];
    const outer = shape.slice(0, -2);
    const [directionKey, lengthKey] = splitKeys(key, 2) as [Tensor, Tensor];
    const blocks = Math.ceil(count / width);
    const directions = orthonormal(randomNormal(directionKey, [...outer, blocks, width, width]));
    const rows = slice(reshape(directions, [...outer, blocks * width, width]), -2, 0, count);
    return mul(rows, lengths(lengthKey, shape));
  };
}

/** Gram–Schmidt over the rows of squares [..., D, D]; projections are subtracted twice for accuracy in float32. */
function orthonormal(squares: Tensor): Tensor {
  const width = squares.shape.at(-1)!;
  const flat = reshape(squares, [-1, width, width]);
  const row = (found: Tensor, [raw, place]: readonly [Tensor, Tensor]): readonly [Tensor, readonly Tensor[]] => {
    const rest = (x: Tensor) => sub(x, matmul(matmul(x, found, { transposeB: true }), found));
    const left = rest(rest(expandDims(raw, 1)));
    const unit = div(left, sqrt(sum(square(left), { axes: -1, keepDims: true })));
    return [add(found, mul(unit, reshape(place, [1, width, 1]))), []];
  };
  const [found] = scan(row, zeros(flat.shape), [
    transpose(flat, [1, 0, 2]),
    oneHot(iota(width), width, "float32"),
  ] as const);
  return reshape(found, squares.shape);
}
