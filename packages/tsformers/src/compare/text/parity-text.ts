import type { CellAbout, TaskAbout } from "../results.ts";
import { listText } from "./sentences.ts";

/** Marks variants that are not equal to the others. */
const unequalMark = " †";

/** In what cells are not equal to the others: each phrase once. */
export function parityNotes(cells: readonly CellAbout[]): string[] {
  const phrases = new Map<string, Set<string>>();
  for (const { variant, unequal } of cells)
    for (const phrase of unequal) phrases.set(phrase, (phrases.get(phrase) ?? new Set()).add(variant));
  return [...phrases].map(([phrase, variants]) => `† ${listText([...variants])}: ${phrase}`);
}

export function marker(cells: readonly CellAbout[], task: TaskAbout): (variant: string) => string {
  const unequal = new Set(
    cells.flatMap((cell) => (cell.task === task.label && cell.unequal.length > 0 ? cell.variant : [])),
  );
  return (variant) => `${variant}${unequal.has(variant) ? unequalMark : ""}`;
}
