import { flatten, NDArray } from "@tsformers/engine";

/** Total number of elements in a tree of parameters, without its training state, which no optimiser changes. */
export function countParameters(params: unknown): number {
  const { leaves, paths } = flatten(params, (leaf) => leaf instanceof NDArray);
  return leaves.reduce((total, { size }, i) => (paths[i]!.startsWith("trainingState.") ? total : total + size), 0);
}
