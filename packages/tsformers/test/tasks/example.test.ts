import { expect, test } from "vitest";
import { exampleOf } from "../../src/tasks/example.ts";
import { madCompressionTask } from "../../src/tasks/mad/compression.ts";
import { madRecallTask } from "../../src/tasks/mad/recall.ts";
import { needleTask } from "../../src/tasks/recall/needle.ts";

test("text is shown as text, with one arrow before what is expected", () => {
  const { input, scored } = exampleOf(needleTask());
  const number = /The secret number of \w+ is (\d{4})\./.exec(input)![1];
  expect(input.endsWith(`? →${number}`)).toBe(true);
  expect(input.match(/→/g)).toHaveLength(1);
  expect(scored).toBe("4 of 512 positions, those behind →");
});

test("where evaluation scores fewer positions than training, they are the ones shown", () => {
  const { input, scored } = exampleOf(madRecallTask({ length: 20 }));
  const arrows = input.match(/k\d→v\d/g)!;
  expect(arrows.length).toBeGreaterThan(0);
  expect(input.match(/→/g)).toHaveLength(arrows.length);
  expect(scored).toBe(`${arrows.length} of 20 positions, those with →; in training each position`);
});

test("a row to be given back is shown once", () => {
  const { view, input, expected, scored } = exampleOf(madCompressionTask({ length: 4 }));
  expect([view, expected, scored]).toEqual(["reconstructed", "the same row", "each of its 4 tokens"]);
  expect(input).toMatch(/^\d+ \d+ \d+ \|$/);
});
