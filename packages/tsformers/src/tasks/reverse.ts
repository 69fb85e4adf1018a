import { type SymbolOptions, type SymbolTask, symbolTask } from "./sequence-to-sequence.ts";

/** Reverses the prompt: `3 1 4 | 4 1 3`. */
export function reverseTask(options: SymbolOptions = {}): SymbolTask {
  return symbolTask("reverse", (prompt) => prompt.toReversed(), options);
}
