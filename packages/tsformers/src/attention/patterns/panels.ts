import type { Panel } from "./draw.ts";
import { headsOf, type Pattern } from "./pattern.ts";

/** One panel per different pattern, titled by its layers and heads. */
export function panelsOf(
  patternOf: (layer: number) => Pattern,
  { layers, heads }: { readonly layers: number; readonly heads: number },
): Panel[] {
  const byLayer = groups(layers, patternOf);
  const each = [...byLayer].flatMap(([pattern, itsLayers]) => {
    const own = headsOf(pattern);
    const byHead = groups(heads, (head) => own[head % own.length]!);
    return [...byHead].map(([pattern, itsHeads]) => {
      const places = [
        ...(byLayer.size === 1 ? [] : [listed("layer", itsLayers)]),
        ...(byHead.size === 1 ? [] : [listed("head", itsHeads)]),
      ];
      return { place: places.join(", "), pattern };
    });
  });
  // If all have one name, the title is their layers and heads alone.
  const names = new Set(each.map(({ pattern }) => pattern.name));
  return each.map(({ place, pattern }) => {
    const parts = each.length > 1 && names.size === 1 ? [place] : [place, pattern.name];
    return { title: parts.filter((part) => part !== "").join(": "), pattern };
  });
}

function groups(count: number, patternOf: (i: number) => Pattern): Map<Pattern, number[]> {
  const members = new Map<Pattern, number[]>();
  for (let i = 0; i < count; i++) {
    const pattern = patternOf(i);
    const others = members.get(pattern) ?? [];
    members.set(pattern, others);
    others.push(i);
  }
  return members;
}

function listed(what: string, numbers: readonly number[]): string {
  const shown = numbers.length > 4 ? `${numbers.slice(0, 3).join(" ")} …` : numbers.join(" ");
  return `${what}${numbers.length > 1 ? "s" : ""} ${shown}`;
}
