import { type SymbolOptions, symbolTask } from "./sequence-to-sequence.ts";
import type { Task } from "./task.ts";

/** Give the prompt back to front: `3 1 4 | 4 1 3`. */
export function reverseTask(options: SymbolOptions = {}): Task {
  return symbolTask("reverse", (prompt) => prompt.toReversed(), options);
}
