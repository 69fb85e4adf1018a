import { Command } from "commander";
import { systems } from "../catalogue/systems.ts";
import type { Entry } from "../run/catalogue.ts";
import { expectation } from "../schema/nearest.ts";
import { catalogues } from "./catalogues.ts";
import { UsageError } from "./exit.ts";
import { proofOf, proofText } from "./proof.ts";
import { definitionList, type Terminal } from "./terminal.ts";

/** What a list shows: systems as a whole, then what can be chosen for a run. */
const shelves: Readonly<Record<string, Readonly<Record<string, Pick<Entry, "summary">>>>> = {
  systems,
  ...Object.fromEntries(Object.entries(catalogues).map(([name, { entries }]) => [name, entries])),
};

/** `tsformers list`: everything that has a name. */
export function listCommand(terminal: Terminal): Command {
  return new Command("list")
    .argument("[what]", `one of ${Object.keys(shelves).join(", ")}. Default: all`)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  tsformers list\n  tsformers list patterns\n  tsformers list --json")
    .action((what: string | undefined, { json }: { json?: true }) => {
      const chosen = Object.entries(shelves).filter(([name]) => what === undefined || name === what);
      if (chosen.length === 0) {
        const known = Object.keys(shelves);
        throw new UsageError(`list: unknown ${JSON.stringify(what)}${expectation(what!, known)}`);
      }
      if (json) {
        const plain = chosen.map(([what, entries]) => [
          what,
          Object.entries(entries).map(([name, entry]) => ({
            name,
            summary: entry.summary,
            ...moreOf(entry),
            ...(what === "systems" && { proved: proofOf(name) }),
          })),
        ]);
        terminal.out(JSON.stringify(Object.fromEntries(plain), null, 2));
        return;
      }
      const parts = chosen.map(([title, entries]) => {
        const lines = Object.entries(entries).map(
          ([name, entry]) => [name, `${entry.summary}${aboutOf(title, entry)}${proved(title, name)}`] as const,
        );
        return `${terminal.bold(title)}\n${definitionList(lines, terminal.columns)}`;
      });
      terminal.out(parts.join("\n\n"));
      terminal.log(terminal.dim("\ntsformers describe NAME tells more about each."));
    });
}

/** The year, and of systems what they are for. */
function aboutOf(shelf: string, entry: object): string {
  const { year, category } = entry as { readonly year?: number; readonly category?: string };
  if (year === undefined) return "";
  return shelf === "systems" ? ` (${category}, ${year})` : ` (${year})`;
}

/** A line below the summary of a system. */
function proved(shelf: string, name: string): string {
  const proof = shelf === "systems" ? proofOf(name) : undefined;
  return proof === undefined ? "" : `\nproved: ${proofText(proof)}`;
}

/** What tells members of a catalogue apart, beside their summaries. */
const telling = ["title", "year", "category", "cost", "exponent", "directions", "causal", "use", "example"];

function moreOf(entry: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entry).filter(([key]) => telling.includes(key)));
}
