import { expect, test } from "vitest";
import { needleTask } from "../../../src/tasks/recall/needle.ts";
import type { Task } from "../../../src/tasks/task.ts";
import { grammarText } from "../../../src/tasks/text/grammar.ts";
import { evalRows, isNear, plainRows } from "../row-lists.ts";

const textOf = ({ tokenizer }: Task, tokens: readonly (number | undefined)[]) =>
  tokenizer!.decode(tokens.filter((token) => token !== undefined));

test.each([
  [512, 4],
  [130, 1],
  [2000, 7],
])("T = %i, %i digits: the answer is in the one sentence about whom is asked", (length, digits) => {
  const task = needleTask({ digits });
  const rows = [...plainRows(task.views.next.trainBatch(1, 8, length)), ...evalRows(task.views.next, length, 8)];
  for (const { inputs, expected, targets } of rows) {
    const text = textOf(task, inputs);
    expect(inputs).not.toContain(0);
    const name = /What is the secret number of (\w+)\? \d*$/.exec(text)![1]!;
    const needles = [...text.matchAll(/The secret number of (\w+) is (\d+)\. /g)];
    expect(needles.map((needle) => needle[1])).toEqual([name]);
    expect(needles[0]![2]).toHaveLength(digits);
    expect(textOf(task, expected)).toBe(needles[0]![2]);
    expect(expected.slice(0, length - digits).every((target) => target === undefined)).toBe(true);
    expect(targets.slice(0, -1)).toEqual(inputs.slice(1));
    // Around the sentence stands the text of the grammar, from its beginning.
    const rest = text.replace(needles[0]![0], "").replace(/\nWhat is.*$/, "");
    expect(rest).toHaveLength(
      length + 1 - needles[0]![0].length - `\nWhat is the secret number of ${name}? `.length - digits,
    );
    if (rest.length > 10) expect(rest).toMatch(/^[A-Z]\w+ and [A-Z]/);
  }
});

test("the sentence stands where it should, at the beginning of a sentence", () => {
  const placesAt = (needleDepth?: number) => {
    const task = needleTask({ length: 4000, ...(needleDepth !== undefined && { needleDepth }) });
    return plainRows(task.views.next.trainBatch(1, 60)).map(({ inputs }) => {
      const text = textOf(task, inputs);
      const place = text.indexOf("The secret");
      expect(place === 0 || /[.?!"\n][ \n]$/.test(text.slice(0, place))).toBe(true);
      return place / text.length;
    });
  };
  for (const depth of [0, 0.25, 0.5, 1]) {
    for (const place of placesAt(depth)) expect(Math.abs(place - depth)).toBeLessThan(0.04);
  }
  expect(placesAt(0)).toEqual(new Array(60).fill(0));
  const anywhere = placesAt();
  for (const quarter of [0, 1, 2, 3]) {
    const count = anywhere.filter((place) => Math.floor(4 * place) === quarter).length;
    expect(isNear(count, 1 / 4, anywhere.length), String(quarter)).toBe(true);
  }
});

test("its tokens know every character of the grammar", () => {
  const { tokenizer } = needleTask();
  expect(tokenizer!.unknownIn(grammarText({ characters: 300_000, seed: 7 }))).toEqual([]);
});

test("refuses what does not fit", () => {
  expect(() => needleTask().views.next.trainBatch(0, 1, 40)).toThrow(
    /a number of 4 digits needs a length of at least \d+, got 40/,
  );
  expect(() => needleTask({ needleDepth: 1.5 })).toThrow("needleDepth must be a number from 0 to 1, got 1.5");
  expect(needleTask({ needleDepth: 0.5 }).fingerprint).not.toBe(needleTask().fingerprint);
});
