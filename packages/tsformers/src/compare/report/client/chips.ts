import type { TaskData, VariantData } from "../report-data.ts";

/** A filter that can be pressed. */
export type Chip = { readonly name: string; has(variant: VariantData): boolean };

const mostParts = 10;

/** What some variants of a task have and others do not: a part of the label, such as `rotary`, and what can be said of the model. */
export function chipsOf({ variants }: TaskData): Chip[] {
  const counts = new Map<string, number>();
  for (const { variant } of variants)
    for (const part of new Set(parts(variant))) counts.set(part, (counts.get(part) ?? 0) + 1);
  const shared = [...counts]
    .filter(([, count]) => count > 1)
    .sort(([, a], [, b]) => b - a)
    .slice(0, mostParts)
    .map(([name]): Chip => ({ name, has: ({ variant }) => parts(variant).includes(name) }));
  const properties: Chip[] = [
    { name: "equal settings", has: ({ cell }) => cell !== undefined && cell.unequal.length === 0 },
    { name: "causal", has: ({ cell }) => cell?.causal === true },
    { name: "writes token by token", has: ({ cell }) => cell?.stateBytes !== undefined },
    { name: "finished", has: ({ result }) => result !== undefined && result.seeds.length > 0 },
  ];
  return [...shared, ...properties].filter(({ has }) => variants.some(has) && !variants.every(has));
}

/** `linformer` and `bert` of `linformer (bert)`; of `axial (mixer)` the first alone. */
function parts(label: string): string[] {
  return label.split(/ · | \(|, |\)/).filter((part) => part !== "" && !choices.has(part));
}

/** What a name in brackets says it is a name of. */
const choices: ReadonlySet<string> = new Set(["model", "mixer", "pattern", "position", "depth"]);
