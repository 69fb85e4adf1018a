import { existsSync, readFileSync } from "node:fs";

import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { allInstructions } from "../../../src/tasks/scan/commands.ts";
import { scanSplits, scanTask } from "../../../src/tasks/scan/scan.ts";
import { sharedData } from "../data-fixtures.ts";

/** The meaning of a command by the rules of the paper's Fig. 7, read from the outside in: it shares nothing with the enumeration. */
function meaning(command: string): string[] {
  const [, first, second] = command.match(/^(.*) and (.*)$/) ?? [];
  if (first !== undefined) return [...meaning(first), ...meaning(second!)];
  const [, later, earlier] = command.match(/^(.*) after (.*)$/) ?? [];
  if (later !== undefined) return [...meaning(earlier!), ...meaning(later)];
  const words = command.split(" ");
  const last = words.at(-1)!;
  const rest = words.slice(0, -1).join(" ");
  if (last === "twice") return [...meaning(rest), ...meaning(rest)];
  if (last === "thrice") return [...meaning(rest), ...meaning(rest), ...meaning(rest)];
  if (words.length === 1) return [`I_${command.toUpperCase()}`];
  const turn = last === "left" ? "I_TURN_LEFT" : "I_TURN_RIGHT";
  const act = words[0] === "turn" ? [] : meaning(words[0]!);
  if (words[1] === "opposite") return [turn, turn, ...act];
  if (words[1] === "around") return [turn, ...act, turn, ...act, turn, ...act, turn, ...act];
  return [turn, ...act];
}

describe("commands", () => {
  it("are the paper's 20,910, each once, and mean what its rules say", () => {
    const all = allInstructions();
    expect(new Set(all.map(({ command }) => command)).size).toBe(20_910);
    expect(all).toHaveLength(20_910);
    for (const { command, actions } of all) expect(actions.join(" "), command).toBe(meaning(command).join(" "));
  });

  it("have the examples of the paper's Fig. 1", () => {
    const actionsOf = new Map(allInstructions().map(({ command, actions }) => [command, actions.join(" ")]));
    expect(actionsOf.get("jump around right")).toBe(
      "I_TURN_RIGHT I_JUMP I_TURN_RIGHT I_JUMP I_TURN_RIGHT I_JUMP I_TURN_RIGHT I_JUMP",
    );
    expect(actionsOf.get("turn left twice")).toBe("I_TURN_LEFT I_TURN_LEFT");
    expect(actionsOf.get("jump opposite left after walk around left")).toBe(
      "I_TURN_LEFT I_WALK I_TURN_LEFT I_WALK I_TURN_LEFT I_WALK I_TURN_LEFT I_WALK I_TURN_LEFT I_TURN_LEFT I_JUMP",
    );
  });
});

describe.each(["simple", "length", "jump"] as const)("split %s", (split) => {
  const { train, valid, test } = scanSplits(split);
  const commands = [train, valid, test].map((rows) => new Set(rows.map(({ command }) => command)));

  it("puts every command into one split", () => {
    expect(commands.reduce((sum, { size }) => sum + size, 0)).toBe(20_910);
    expect(new Set(commands.flatMap((set) => [...set])).size).toBe(20_910);
    expect(commands[0]!.has("jump")).toBe(split !== "simple" || !commands[2]!.has("jump"));
  });

  it("is not in the order of the grammar, so that a limit sees a sample", () => {
    const counts = test.slice(0, 400).map(({ actions }) => actions.length);
    const mean = (numbers: readonly number[]) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
    expect(mean(counts) / mean(test.map(({ actions }) => actions.length))).toBeCloseTo(1, 0.8);
  });
});

it("rows are the command, the actions and their end", () => {
  const task = scanTask({ heldOut: "jump" });
  const { symbolOf } = task;
  const pairs = task.views.pairs.trainBatch(1, 20, 64);
  const next = task.views.next.trainBatch(1, 20, 64);
  const words = (array: { toNumbers(): number[] }, row: number) =>
    array
      .toNumbers()
      .slice(row * 64, (row + 1) * 64)
      .map(symbolOf!)
      .join(" ")
      .replace(/( \|)+$/, "");
  for (let row = 0; row < 20; row++) {
    const command = words(pairs.source, row);
    const answer = meaning(command).join(" ");
    expect(words(pairs.targets, row)).toBe(`${answer} <end>`);
    expect(words(pairs.inputs, row)).toBe(`| ${answer}`);
    expect(words(next.inputs, row)).toBe(`${command} | ${answer}`);
    const weights = next.weights.toNumbers().slice(row * 64, (row + 1) * 64);
    const targets = next.targets
      .toNumbers()
      .slice(row * 64, (row + 1) * 64)
      .map(symbolOf!);
    expect(targets.filter((_, t) => weights[t] === 1).join(" ")).toBe(`${answer} <end>`);
  }
});

it("refuses rows that do not fit", () => {
  const { views } = scanTask();
  expect(() => views.next.trainBatch(1, 1, 57)).toThrow(
    "scan: rows have up to 58 positions, which do not fit a length of 57",
  );
  expect(() => views.pairs.evalBatches("test", { batchSize: 1, length: 48 })).toThrow(/up to 49 positions/);
  expect(views.pairs.trainBatch(1, 1, 49).source.shape).toEqual([1, 49]);
});

const folder = sharedData("scan/");
const here = existsSync(folder);
if (!here) console.warn("scan.test.ts: the published files are not compared: ../shared/data/scan is not here");

describe.skipIf(!here)("the published files", () => {
  const read = (part: string, name: string): string[] =>
    gunzipSync(readFileSync(`${folder}tasks_${part}_${name}.txt.gz`))
      .toString()
      .trim()
      .split("\n");
  const line = ({ command, actions }: { command: string; actions: readonly string[] }) =>
    `IN: ${command} OUT: ${actions.join(" ")}`;

  it.each(["simple", "length", "addprim_jump"])("%s: every row is what the rules say", (name) => {
    for (const row of [...read("train", name), ...read("test", name)]) {
      const [, command, actions] = row.match(/^IN: (.*) OUT: (.*)$/)!;
      expect(actions).toBe(meaning(command!).join(" "));
    }
  });

  it.each([
    ["length", "length"],
    ["jump", "addprim_jump"],
  ] as const)("split %s has the very rows of %s, copies included", (split, name) => {
    const { train, valid, test } = scanSplits(split);
    expect([...train, ...valid].map(line).sort()).toEqual(read("train", name).sort());
    expect(test.map(line).sort()).toEqual(read("test", name).sort());
  });

  it("simple has as many rows, and the same ones in all", () => {
    const { train, valid, test } = scanSplits("simple");
    expect(test).toHaveLength(read("test", "simple").length);
    expect([...train, ...valid, ...test].map(line).sort()).toEqual(
      [...read("train", "simple"), ...read("test", "simple")].sort(),
    );
  });
});
