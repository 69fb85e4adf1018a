import { Command } from "commander";
import { expectation } from "../schema/nearest.ts";
import { UsageError } from "./exit.ts";
import { type Proof, proofText } from "./proof.ts";
import { definitionList, type Terminal } from "./terminal.ts";

/** By what they are, all that have a name. */
export type Lists = Readonly<Record<string, readonly Listed[]>>;

export type Listed = {
  readonly name: string;
  readonly summary: string;
  readonly year?: number;
  readonly category?: string;
  /** Of a system. */
  readonly proved?: Proof | undefined;
};

/** `tsformers list`: everything that has a name. */
export function listCommand(terminal: Terminal, lists: Lists): Command {
  return new Command("list")
    .argument("[what]", `one of ${Object.keys(lists).join(", ")}. Default: all`)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  tsformers list\n  tsformers list patterns\n  tsformers list --json")
    .action((what: string | undefined, { json }: { json?: true }) => {
      const chosen = Object.entries(lists).filter(([name]) => what === undefined || name === what);
      if (chosen.length === 0) {
        const known = Object.keys(lists);
        throw new UsageError(`list: unknown ${JSON.stringify(what)}${expectation(what!, known)}`);
      }
      if (json) return terminal.out(JSON.stringify(Object.fromEntries(chosen), null, 2));
      const parts = chosen.map(([title, entries]) => {
        const lines = entries.map((entry) => [entry.name, lineOf(title, entry)] as const);
        return `${terminal.bold(title)}\n${definitionList(lines, terminal.columns)}`;
      });
      terminal.out(parts.join("\n\n"));
      terminal.log(terminal.dim("\ntsformers describe NAME tells more about each."));
    });
}

/** The summary, the year, and of systems what they are for and what proves them. */
function lineOf(shelf: string, { summary, year, category, proved }: Listed): string {
  const about = year === undefined ? "" : shelf === "systems" ? ` (${category}, ${year})` : ` (${year})`;
  return `${summary}${about}${proved === undefined ? "" : `\nproved: ${proofText(proved)}`}`;
}
