import { present } from "../../schema/present.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type SymbolOptions, type SymbolSettings, type SymbolTask, symbolOptions, symbolTask } from "./symbol-task.ts";

/** Copies the prompt: `3 1 4 | 3 1 4`. */
export function copyTask(options: SymbolOptions = {}): SymbolTask {
  return symbolTask("copy", (prompt) => prompt, options);
}

export const copyEntry: TaskEntry<"copy", SymbolSettings> = /* @__PURE__ */ taskEntry({
  name: "copy",
  title: "Copy",
  category: "generated",
  summary: "repeat a random sequence of symbols",
  options: symbolOptions,
  make: (settings) => copyTask(present(settings)),
});
