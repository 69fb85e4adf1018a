import { flatten, NDArray } from "@tsformers/engine";

/** Total number of elements in a tree of arrays. */
export function countParameters(params: unknown): number {
  const { leaves } = flatten(params, (leaf) => leaf instanceof NDArray);
  return leaves.reduce((total, { size }) => total + size, 0);
}
