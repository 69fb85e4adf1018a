import { expect, test } from "vitest";
import { attentionMembers, chooseMembers } from "../attention-members.ts";
import { type AttentionMeasurement, attentionTable } from "../attention-table.ts";

const measured = (name: string, power: number, atOne: number): AttentionMeasurement[] =>
  [256, 1024, 4096, 16_384].map((length) => ({
    name,
    length,
    baseline: "full",
    timeMs: atOne * length ** power,
    memoryMb: length / 10,
    exponent: power,
    peerTimeMs: length === 4096 ? 3 * atOne * length ** power : null,
  }));

test("the table has ratios at the compared length, slopes beyond, and where the lines cross for good", () => {
  const rows = [...measured("full", 2, 1e-6), ...measured("quick", 1, 1e-3)];
  const [, full, quick] = attentionTable(rows, 4096)
    .split("\n")
    .map((line) => line.trim().split(/\s{2,}/));
  expect(full).toEqual(["full", "16.8", "410", "1.00×", "1.00×", "2.00", "n^2", "–", "–", "3.00×"]);
  expect(quick).toEqual(["quick", "4.10", "410", "4.10×", "1.00×", "1.00", "n^1", "1024", "never", "3.00×"]);
});

test("a length at which nothing was measured leaves dashes", () => {
  const rows = measured("full", 2, 1e-6).map((one) => (one.length === 4096 ? { ...one, timeMs: null } : one));
  expect(attentionTable(rows, 4096)).toContain("–");
});

test("names choose mechanisms and what they are compared with; unknown names are refused", () => {
  const names = (chosen: readonly { name: string }[]) => chosen.map(({ name }) => name);
  expect(names(chooseMembers(["bigbird"]))).toEqual(["full", "bigbird"]);
  expect(names(chooseMembers(["lsh causal"]))).toEqual(["full causal", "lsh causal"]);
  expect(chooseMembers([])).toEqual([]);
  expect(() => chooseMembers(["bigbrid"])).toThrow("no mechanism is named bigbrid");
  expect(new Set(names(attentionMembers)).size).toBe(attentionMembers.length);
});
