import { Command } from "commander";
import type { MixerEntry } from "../attention/index.ts";
import type { PatternEntry } from "../attention/patterns/index.ts";
import { mixers } from "../catalogue/mixers.ts";
import { patterns } from "../catalogue/patterns.ts";
import { models } from "../models/index.ts";
import { expectation } from "../schema/nearest.ts";
import { catalogues } from "./catalogues.ts";
import { UsageError } from "./exit.ts";
import { definitionList, type Terminal } from "./terminal.ts";

/** `tsformers list`: everything that has a name. */
export function listCommand(terminal: Terminal): Command {
  return new Command("list")
    .description("list models, attention patterns and mechanisms, positions, tasks, optimisers and schedules")
    .argument("[what]", `one of ${Object.keys(catalogues).join(", ")}; all unless given`)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  tsformers list\n  tsformers list patterns\n  tsformers list --json")
    .action((what: string | undefined, { json }: { json?: true }) => {
      const chosen = Object.entries(catalogues).filter(([name]) => what === undefined || name === what);
      if (chosen.length === 0) {
        const known = Object.keys(catalogues);
        throw new UsageError(`list: unknown ${JSON.stringify(what)}${expectation(what!, known)}`);
      }
      if (json) {
        const plain = chosen.map(([what, entries]) => [
          what,
          Object.entries(entries).map(([name, { summary }]) => ({ name, summary, ...moreOf(what, name) })),
        ]);
        terminal.out(JSON.stringify(Object.fromEntries(plain), null, 2));
        return;
      }
      const parts = chosen.map(([title, entries]) => {
        const lines = Object.entries(entries).map(
          ([name, { summary }]) => [name, `${summary}${yearOf(title, name)}`] as const,
        );
        return `${terminal.bold(title)}\n${definitionList(lines, terminal.columns)}`;
      });
      terminal.out(parts.join("\n\n"));
      terminal.log(terminal.dim("\ntsformers describe NAME tells more about each."));
    });
}

function yearOf(what: string, name: string): string {
  return what === "models" ? ` (${models[name as keyof typeof models].year})` : "";
}

function moreOf(what: string, name: string): Record<string, unknown> {
  if (what === "patterns" || what === "mechanisms") {
    const entries: Readonly<Record<string, PatternEntry | MixerEntry>> = what === "patterns" ? patterns : mixers;
    const { cost, exponent, directions } = entries[name]!;
    return { cost, exponent, directions };
  }
  if (what !== "models") return {};
  const { title, year, category } = models[name as keyof typeof models];
  return { title, year, category };
}
