import { concat, type DType, reshape, type Shape, sizeOfShape, split, type Tensor } from "@tsformers/engine";

type ArrayType = { readonly shape: Shape; readonly dtype: DType };

/** With no more numbers than this, what it takes to start a node is more than what it computes. */
const few = 16_384;

/** Whether an array of this size is better worked on together with others than by itself. */
export function isSmall({ shape }: ArrayType): boolean {
  return sizeOfShape(shape) <= few;
}

/** Equal for arrays that can be joined: their rows have one shape and dtype. A number is a vector of one. */
export function rowType({ shape, dtype }: ArrayType): string {
  return `${dtype}[${shape.slice(1).join()}]`;
}

/**
 * The rows of several arrays, one array after the other; nothing is reshaped, which would be a copy.
 *
 * @shape list of [n, ...rest] → [N, ...rest]
 */
export function joinRows(list: readonly Tensor[]): Tensor {
  return concat(
    list.map((one) => (one.shape.length === 0 ? reshape(one, [1]) : one)),
    0,
  );
}

/** Undoes {@link joinRows}. @shape [N, ...rest] → list of `shapes` */
export function splitRows(joined: Tensor, shapes: readonly Shape[]): Tensor[] {
  const parts = split(
    joined,
    shapes.map(([rows = 1]) => rows),
    0,
  );
  return parts.map((part, i) => (shapes[i]!.length === 0 ? reshape(part, []) : part));
}
