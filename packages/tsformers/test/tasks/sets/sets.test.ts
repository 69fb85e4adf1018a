import { describe, expect, it } from "vitest";
import type { LabelledTask } from "../../../src/tasks/labelled.ts";
import { maxTask } from "../../../src/tasks/sets/max.ts";
import { uniqueTask } from "../../../src/tasks/sets/unique.ts";
import { rowsOf } from "../data-fixtures.ts";

type Example = { readonly elements: string[]; readonly answer: string };

const examples = ({ views: { labelled }, symbolOf }: LabelledTask, length?: number, rows = 4000): Example[] => {
  const { inputs, mask, labels } = labelled.trainBatch(1, rows, length);
  const masks = rowsOf(mask);
  return rowsOf(inputs).map((row, i) => ({
    elements: row.filter((_, t) => masks[i]![t] === 1).map(symbolOf!),
    answer: labelled.classNames![labels.toNumbers()[i]!]!,
  }));
};

/** How often each value occurs. */
const counts = (values: readonly (string | number)[]): Map<string, number> =>
  values.reduce((all, value) => all.set(String(value), (all.get(String(value)) ?? 0) + 1), new Map<string, number>());

const sizes = (of: readonly Example[]) =>
  [...counts(of.map(({ elements }) => elements.length)).keys()].map(Number).sort((a, b) => a - b);

describe("max", () => {
  it.each([undefined, 1, 33])("the answer is the largest number, at length %s", (length) => {
    for (const { elements, answer } of examples(maxTask(), length, 300))
      expect(Math.max(...elements.map(Number))).toBe(Number(answer));
  });

  it("is as often one number as another, and stands anywhere", () => {
    const all = examples(maxTask({ numbers: 10 }));
    const answers = counts(all.map(({ answer }) => answer));
    expect(answers.size).toBe(10);
    // 400 each; four standard deviations of a binomial are 76.
    for (const count of answers.values()) expect(Math.abs(count - 400)).toBeLessThan(76);
    const full = all.filter(({ elements, answer }) => elements.length === 10 && counts(elements).get(answer) === 1);
    expect(counts(full.map(({ elements, answer }) => elements.indexOf(answer))).size).toBe(10);
    expect(sizes(all)).toEqual([5, 6, 7, 8, 9, 10]);
  });
});

describe("unique", () => {
  it.each([undefined, 1, 33])("the answer is how many symbols there are, at length %s", (length) => {
    for (const { elements, answer } of examples(uniqueTask(), length, 300))
      expect(new Set(elements.map((element) => element.replace(/[a-z]/, ""))).size).toBe(Number(answer));
  });

  it("has every number of symbols as often at a size, and all symbols and forms", () => {
    const all = examples(uniqueTask({ symbols: 5, forms: 3 }), 10);
    expect(sizes(all)).toEqual([6, 7, 8, 9, 10]);
    const answers = counts(all.map(({ answer }) => answer));
    expect([...answers.keys()].sort()).toEqual(["1", "2", "3", "4", "5"]);
    // 800 each; four standard deviations are 101.
    for (const count of answers.values()) expect(Math.abs(count - 800)).toBeLessThan(101);
    expect(counts(all.flatMap(({ elements }) => elements)).size).toBe(15);
  });

  it("cannot have more symbols than elements", () => {
    const few = examples(uniqueTask({ symbols: 26 }), 3, 300);
    expect([...counts(few.map(({ answer }) => answer)).keys()].sort()).toEqual(["1", "2", "3"]);
  });
});

it("names what does not fit", () => {
  expect(() => maxTask({ numbers: 1 })).toThrow("max: numbers must be an integer ≥ 2, got 1");
  expect(() => uniqueTask({ symbols: 1 })).toThrow("unique: symbols must be an integer ≥ 2, got 1");
  expect(() => uniqueTask({ forms: 0 })).toThrow("unique: forms must be an integer ≥ 1, got 0");
});
