import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/cli/exit.ts";
import { usualPrompt } from "../../src/cli/generate-prompt.ts";
import { type GenerateFlags, requireSense, writeOptions } from "../../src/cli/generate-settings.ts";
import type { Generator } from "../../src/run/open-generator.ts";
import { byteTokenizer, characterTokenizer } from "../../src/tokenizers/index.ts";

const model = (more: Partial<Generator> = {}): Generator => ({
  category: "decoder",
  vocabularySize: 10,
  endTokens: [],
  notes: [],
  tokens: () => expect.fail(),
  text: () => expect.fail(),
  release: async () => {},
  ...more,
});
const tokenizer = characterTokenizer("abc def");
const writers = {
  "decoder of text": model({ tokenizer }),
  "decoder of tokens": model(),
  "decoder with an end": model({ endTokens: [9] }),
  "encoder-decoder of text": model({ category: "encoder-decoder", tokenizer }),
  "encoder-decoder of tokens with an end": model({ category: "encoder-decoder", endTokens: [9] }),
};
type Writer = keyof typeof writers;
const all = Object.keys(writers) as Writer[];
const decoders = all.filter((name) => writers[name].category === "decoder");
const answering = all.filter((name) => !decoders.includes(name));
const ending = all.filter((name) => writers[name].endTokens.length > 0);
const texts = all.filter((name) => writers[name].tokenizer !== undefined);

const check = (given: Partial<GenerateFlags>, generator: Generator) => {
  const flags: GenerateFlags = { maxTokens: 5, device: "cpu", ...given };
  requireSense(flags);
  requireSense(flags, generator);
};

/** Flags, the models with which they make sense, and what is said of the others. */
const table: readonly [given: Partial<GenerateFlags>, fit: readonly Writer[], problem?: string][] = [
  [{}, all],
  [{ temperature: 1.5, topK: 5, topP: 0.9, seed: 3 }, all],
  [{ temperature: 0 }, all],
  [{ temperature: 0, topK: 5 }, [], "--top-k would do nothing: at --temperature 0"],
  [{ temperature: 0, topP: 0.5 }, [], "--top-p would do nothing: at --temperature 0"],
  [{ temperature: 0, seed: 0 }, [], "--seed would do nothing: at --temperature 0"],
  [{ topK: 1 }, all],
  [{ topK: 1, temperature: 1 }, [], "--temperature would do nothing: with --top-k 1"],
  [{ topK: 1, topP: 0.5 }, [], "--top-p would do nothing: with --top-k 1"],
  [{ topK: 1, seed: 1 }, [], "--seed would do nothing: with --top-k 1"],
  [{ beams: 4 }, answering, "--beams would do nothing: this model goes on behind its prompt"],
  [{ beams: 1 }, answering, "--beams would do nothing"],
  [{ beams: 4, temperature: 0, lengthPenalty: 0.5 }, answering, "--beams would do nothing"],
  [{ beams: 4, temperature: 1 }, [], "--temperature would do nothing: --beams searches"],
  [{ beams: 4, topK: 5 }, [], "--top-k would do nothing: --beams searches"],
  [{ beams: 4, topP: 0.5 }, [], "--top-p would do nothing: --beams searches"],
  [{ beams: 4, seed: 1 }, [], "--seed would do nothing: --beams searches"],
  [{ lengthPenalty: 1 }, [], "--length-penalty would do nothing"],
  [{ beams: 1, lengthPenalty: 1 }, [], "--length-penalty would do nothing"],
  [{ promptTokens: [1], stop: ["a"] }, [], "--stop would do nothing: --prompt-tokens writes numbers"],
  [{ promptTokens: [1], stopTokens: [2] }, all],
  [{ prompt: "a", stop: ["a", "bc"] }, texts],
  [{ prompt: "a", stop: ["a€"] }, [], "--stop would do nothing: not in this model's alphabet: €"],
  [{ prompt: "a", stop: [""] }, [], "--stop: expected at least one character"],
  [{ stopTokens: [10] }, [], "--stop-tokens: expected tokens of 0 … 9, got 10"],
  [{ stopTokens: [0] }, all.filter((name) => !texts.includes(name)), "--stop-tokens 0 would do nothing"],
  [{ ignoreEnd: true }, ending, "--ignore-end would do nothing: this model has no end token"],
  [{ ignoreEnd: true, stopTokens: [9] }, [], "would do nothing"],
  [{ temperature: -1 }, [], "--temperature: expected 0 or more"],
  [{ topP: 0 }, [], "--top-p: expected a number above 0"],
];

describe.each(table)("%j", (given, fit, problem) => {
  const possible = given.prompt === undefined ? all : texts;
  test.each(possible)("with a %s", (name) => {
    if (fit.includes(name)) return check(given, writers[name]);
    expect(() => check(given, writers[name])).toThrow(UsageError);
    expect(() => check(given, writers[name])).toThrow(problem);
  });
});

test("an answer is drawn only when something is said of drawing", () => {
  const temperature = (given: Partial<GenerateFlags>, name: Writer) =>
    writeOptions({ maxTokens: 5, device: "cpu", ...given }, writers[name]).temperature;
  expect(temperature({}, "decoder of text")).toBe(0.8);
  expect(temperature({}, "encoder-decoder of text")).toBe(0);
  expect(temperature({ seed: 0 }, "encoder-decoder of text")).toBe(0.8);
  expect(temperature({ temperature: 0.3 }, "encoder-decoder of text")).toBe(0.3);
});

test("without a prompt a model begins behind something that it knows", () => {
  expect(usualPrompt(model({ tokenizer: byteTokenizer() }))).toEqual({ text: "\n" });
  expect(usualPrompt(model({ tokenizer: characterTokenizer("a\nb ") }))).toEqual({ text: "\n" });
  expect(usualPrompt(model({ tokenizer: characterTokenizer("b a") }))).toEqual({ text: " " });
  expect(usualPrompt(model({ tokenizer: characterTokenizer("xyb") }))).toEqual({ text: "b" });
  expect(() => usualPrompt(writers["decoder of tokens"])).toThrow("--prompt-tokens");
  expect(() => usualPrompt(writers["encoder-decoder of text"])).toThrow("this model answers what it reads");
});
