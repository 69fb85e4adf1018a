import { present } from "../../schema/present.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type SymbolOptions, type SymbolSettings, type SymbolTask, symbolOptions, symbolTask } from "./symbol-task.ts";

/** Reverses the prompt: `3 1 4 | 4 1 3`. */
export function reverseTask(options: SymbolOptions = {}): SymbolTask {
  return symbolTask("reverse", (prompt) => prompt.toReversed(), options);
}

export const reverseEntry: TaskEntry<"reverse", SymbolSettings> = /* @__PURE__ */ taskEntry({
  name: "reverse",
  title: "Reverse",
  category: "generated",
  summary: "give a random sequence of symbols back to front",
  options: symbolOptions,
  make: (settings) => reverseTask(present(settings)),
});
