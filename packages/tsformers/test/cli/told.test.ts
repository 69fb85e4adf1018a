import { expect, test } from "vitest";
import { everythingTold } from "../../src/cli/everything-told.ts";
import type { Kept } from "../../src/cli/kept.ts";
import { main } from "../../src/cli/main.ts";
import { processTerminal, type Terminal } from "../../src/cli/terminal.ts";
import { toldCommand } from "../../src/cli/told-command.ts";

const kept = JSON.parse(JSON.stringify(await everythingTold())) as Kept;

function recorder(columns: number): { readonly terminal: Terminal; readonly lines: string[] } {
  const lines: string[] = [];
  const out = (text: string) => void lines.push(text);
  return { terminal: { ...processTerminal({ columns }), unicode: true, out }, lines };
}

/** What the whole command prints, which loads the catalogue: the sources keep nothing. */
async function whole(args: readonly string[], columns: number): Promise<string> {
  const { terminal, lines } = recorder(columns);
  expect(await main(["describe", ...args], terminal)).toBe(0);
  return lines.join("\n");
}

async function short(args: readonly string[], columns: number): Promise<string | undefined> {
  const { terminal, lines } = recorder(columns);
  const command = toldCommand(terminal, args, () => kept);
  await command?.parseAsync([...args], { from: "user" });
  return command && lines.join("\n");
}

test("what the build keeps of every name is what the whole command tells", { timeout: 60_000 }, async () => {
  const names = Object.keys(kept.told);
  expect(names.length).toBeGreaterThan(150);
  for (const name of names) expect(await short([name], 90)).toBe(await whole([name], 90));
});

test.each([
  [["longformer"]],
  [["alibi"]],
  [["knn-lm"]],
  [["systems/alibi", "--json"]],
  [["--json", "copy"]],
  [["fixed", "--ascii"]],
])("%j is told as the whole command tells it, on a narrow terminal too", async (args) => {
  for (const columns of [40, 130]) expect(await short(args, columns)).toBe(await whole(args, columns));
});

test.each([
  [["gpt", "--layers", "2"]],
  [["gpt", "--layers=2"]],
  [["gpt", "--help"]],
  [["--help"]],
  [["gpt", "alibi"]],
  [["no-such-name"]],
  [["models/alibi"]],
  [["runs/mine"]],
  [[]],
])("%j is left to the whole command", async (args) => {
  expect(await short(args, 90)).toBeUndefined();
});
