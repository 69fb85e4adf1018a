import { concat, reshape, type Shape, split, type Tensor } from "@tsformers/engine";

/** With no more numbers than this, what it takes to start a node is more than what it computes. */
const few = 16_384;

/** Whether arrays of this size are better worked on together than one by one. */
export function isSmall({ shape }: { readonly shape: Shape }): boolean {
  return sizeOf(shape) <= few;
}

/** All numbers of several arrays of one dtype, one array after the other. @shape list of [...] → [N] */
export function joinFlat(list: readonly Tensor[]): Tensor {
  return concat(
    list.map((one) => reshape(one, [-1])),
    0,
  );
}

/** Undoes {@link joinFlat}. @shape [N] → list of `shapes` */
export function splitFlat(joined: Tensor, shapes: readonly Shape[]): Tensor[] {
  return split(joined, shapes.map(sizeOf), 0).map((part, i) => reshape(part, shapes[i]!));
}

function sizeOf(shape: Shape): number {
  return shape.reduce((product, n) => product * n, 1);
}
