import { type SymbolOptions, symbolTask } from "./sequence-to-sequence.ts";
import type { Task } from "./task.ts";

/** Repeat the prompt: `3 1 4 | 3 1 4`. */
export function copyTask(options: SymbolOptions = {}): Task {
  return symbolTask("copy", (prompt) => prompt, options);
}
