import { systems } from "../catalogue/systems.ts";
import { presetNames, sizesOfPreset } from "../run/preset.ts";
import type { SystemEntry } from "../systems/system-entry.ts";
import { catalogues } from "./catalogues.ts";
import { proofOf, proofText } from "./proof.ts";
import type { Told } from "./told.ts";

/** The system that a name means: `systems/alibi`, or `knn-lm`, where nothing else is called so. */
export function systemNamed(name: string): SystemEntry | undefined {
  const own = name.startsWith("systems/") ? name.slice("systems/".length) : name;
  const isOther = own === name && Object.values(catalogues).some(({ entries }) => Object.hasOwn(entries, own));
  return isOther || !Object.hasOwn(systems, own) ? undefined : (systems as Readonly<Record<string, SystemEntry>>)[own];
}

/** What is told of a system. */
export function toldSystem(system: SystemEntry): Told {
  const { name, summary, differs, presets } = system;
  const about = factsOf(system);
  const terms = presetNames.map((size) => {
    const { about, published } = presets[size];
    const count = `${parametersOf(system, size).toLocaleString("en-US")} parameters`;
    return [size, `${about}; ${count}${published === undefined ? "" : `, published as ${published}`}`] as const;
  });
  const sizes = presetNames.map((size) => [size, { ...presets[size], parameters: parametersOf(system, size) }]);
  return {
    name,
    kind: "system",
    summary,
    facts: about.filter(([key]) => key !== "summary"),
    sections: [
      { title: "Presets", terms },
      ...(differs.length === 0 ? [] : [{ title: "How it differs from the paper", points: differs }]),
    ],
    json: { name, is: "systems", about: Object.fromEntries(about), differs, presets: Object.fromEntries(sizes) },
  };
}

function factsOf({
  name,
  title,
  year,
  paper,
  summary,
  category,
  use,
  formula,
  cost,
  causal,
  sees,
  golden,
  example,
  moreExamples = [],
}: SystemEntry): (readonly [string, string])[] {
  const proof = proofOf(name);
  return [
    ["summary", summary],
    ["title", title],
    ["year", String(year)],
    ["paper", paper],
    ["category", category],
    ["for", use],
    ["formula", formula],
    ["cost", cost],
    ["causal", causal ? "yes" : "no"],
    ["sees", sees],
    ["proved against", golden.join(", ") || "its definition in the tests"],
    ["example", [example, ...moreExamples].map((name) => `examples/systems/${name}.ts`).join(", ")],
    ...(proof === undefined ? [] : [["proved", proofText(proof)] as const]),
  ];
}

function parametersOf({ presets, parameters }: SystemEntry, size: "small" | "paper"): number {
  const preset = presets[size];
  return parameters(sizesOfPreset(preset), preset.run.model);
}
