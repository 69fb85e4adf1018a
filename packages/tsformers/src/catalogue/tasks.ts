import type { Task, TaskContext, TaskEntry } from "../tasks/index.ts";
import * as room from "../tasks/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every task by name. */
export const tasks: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room, ["data", "generated"]);

export type TaskName = keyof typeof tasks;

/**
 * Makes a task by name.
 *
 * @throws RangeError when there is no such task or an option does not fit; what reading the data throws
 */
export async function createTask(name: string, options: unknown = {}, context?: TaskContext): Promise<Task> {
  if (!Object.hasOwn(tasks, name)) {
    throw new RangeError(`task: expected one of ${Object.keys(tasks).join(", ")}, got ${JSON.stringify(name)}`);
  }
  const entry: TaskEntry = tasks[name as TaskName];
  return entry.make(options, context);
}
