import { flatten, NDArray } from "@tsformers/engine";

/** How many numbers a tree of arrays holds. */
export function countParameters(params: unknown): number {
  const { leaves } = flatten(params, (leaf) => leaf instanceof NDArray);
  return leaves.reduce((total, { size }) => total + size, 0);
}
