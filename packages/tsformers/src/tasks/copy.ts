import { type SymbolOptions, type SymbolTask, symbolTask } from "./sequence-to-sequence.ts";

/** Copies the prompt: `3 1 4 | 3 1 4`. */
export function copyTask(options: SymbolOptions = {}): SymbolTask {
  return symbolTask("copy", (prompt) => prompt, options);
}
