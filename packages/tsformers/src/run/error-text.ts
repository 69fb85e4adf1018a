import { kebab } from "../schema/kebab.ts";
import { MemoryError } from "../train/memory.ts";

/** The message of an error in terms of the command line, where settings are called by their flags. */
export function errorText(error: unknown): string {
  if (error instanceof MemoryError) return error.text((setting) => `--${kebab(setting)}`);
  return error instanceof Error ? error.message : String(error);
}
