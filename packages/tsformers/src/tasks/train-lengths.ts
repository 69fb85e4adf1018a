import type { TaskView } from "./task.ts";

/** T of the training rows of an update. */
export function lengthAt(view: Pick<TaskView<unknown>, "lengths">, step: number, length: number): number {
  return view.lengths?.at(step) ?? length;
}

/** T of training rows in the mean of all updates. */
export function meanLength({ lengths }: Pick<TaskView<unknown>, "lengths">, length: number): number {
  if (lengths === undefined) return length;
  return lengths.cycle.reduce((total, each) => total + each, 0) / lengths.cycle.length;
}
