import type { Comparison } from "./results.ts";
export function adviceOf(_: Comparison): string[] {
  return [];
}
