import { present } from "../../schema/present.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type SymbolOptions, type SymbolSettings, type SymbolTask, symbolOptions, symbolTask } from "./symbol-task.ts";

/** Sorts the prompt in ascending order, repeated symbols included: `3 1 4 1 | 1 1 3 4`. */
export function sortTask(options: SymbolOptions = {}): SymbolTask {
  return symbolTask("sort", (prompt) => prompt.toSorted((a, b) => a - b), options);
}

export const sortEntry: TaskEntry<"sort", SymbolSettings> = /* @__PURE__ */ taskEntry({
  name: "sort",
  title: "Sort",
  category: "generated",
  summary: "give a random sequence of symbols in ascending order",
  options: symbolOptions,
  make: (settings) => sortTask(present(settings)),
});
