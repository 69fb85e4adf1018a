import type { VariantSummary } from "../statistics/summaries.ts";

/** Why cells are empty, and what must be known of others: each reason once, with the variants and lengths that it is of. */
export function notesOf(summaries: readonly VariantSummary[]): string[] {
  const reasons = new Map<string, { readonly variants: Set<string>; readonly places: Set<string> }>();
  const add = (variant: string, place: string, reason: string | undefined): void => {
    if (reason === undefined) return;
    const known = reasons.get(reason) ?? { variants: new Set(), places: new Set() };
    reasons.set(reason, known);
    known.variants.add(variant);
    known.places.add(place);
  };
  for (const { variant, seeds, byLength, steps = [] } of summaries) {
    if (seeds.length > 0)
      for (const cell of byLength) add(variant, `${cell.length}`, "missing" in cell ? cell.missing : cell.note);
    for (const step of steps) if ("missing" in step) add(variant, `a step at ${step.length}`, step.missing);
  }
  const all = new Set(summaries.map(({ variant }) => variant)).size;
  return [...reasons].map(([reason, { variants, places }]) => {
    const whose = variants.size === all ? "all variants" : [...variants].join(", ");
    return `${whose}, at ${[...places].join(", ")}: ${reason}`;
  });
}
