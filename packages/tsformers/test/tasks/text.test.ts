import { describe, expect, it } from "vitest";

import { bitsPerCharacter, loss } from "../../src/tasks/metric.ts";
import { textTask } from "../../src/tasks/text.ts";
import { byteTokenizer, characterTokenizer, tokenizerFromConfig } from "../../src/tasks/tokenizer.ts";

/** 1,000 characters in which every window is at one place only: 250 numbers of three digits and a space. */
const numbers = Array.from({ length: 250 }, (_, n) => `${String(n).padStart(3, "0")} `).join("");
const task = textTask({ text: numbers, tokenizer: characterTokenizer, length: 16, seed: 3 });
const rows = (array: { shape: readonly number[]; toNumbers(): number[] }): number[][] => {
  const flat = array.toNumbers();
  return Array.from({ length: array.shape[0]! }, (_, b) => flat.slice(b * array.shape[1]!, (b + 1) * array.shape[1]!));
};

describe("textTask: training", () => {
  it("gives windows of the training split, targets one ahead, everything scored", () => {
    const batch = task.trainBatch(7, 5);
    expect(batch.inputs.shape).toEqual([5, 16]);
    expect([batch.inputs.dtype, batch.targets.dtype, batch.weights.dtype]).toEqual(["int32", "int32", "float32"]);
    const targets = rows(batch.targets);
    rows(batch.inputs).forEach((input, b) => {
      const at = numbers.indexOf(task.tokenizer!.decode(input));
      expect(at).toBeGreaterThanOrEqual(0);
      expect(at + 17).toBeLessThanOrEqual(900);
      expect(task.tokenizer!.decode(targets[b]!)).toBe(numbers.slice(at + 1, at + 17));
    });
    expect(batch.weights.toNumbers().every((weight) => weight === 1)).toBe(true);
  });

  it("is a pure function of seed and step", () => {
    const again = textTask({ text: numbers, tokenizer: characterTokenizer, length: 16, seed: 3 });
    again.trainBatch(0, 5);
    expect(again.trainBatch(7, 5)).toEqual(task.trainBatch(7, 5));
    expect(task.trainBatch(8, 5)).not.toEqual(task.trainBatch(7, 5));
    const other = textTask({ text: numbers, tokenizer: characterTokenizer, length: 16, seed: 4 });
    expect(other.trainBatch(7, 5)).not.toEqual(task.trainBatch(7, 5));
  });

  it("reaches the first and the last window of the split", () => {
    const short = textTask({ text: numbers.slice(0, 40), tokenizer: characterTokenizer, length: 34 });
    const starts = new Set(rows(short.trainBatch(0, 64).inputs).map((input) => input.join()));
    expect(starts.size).toBe(36 - 34);
  });
});

describe("textTask: evaluation", () => {
  const scoredTokens = (length: number, batchSize: number, limit?: number): string => {
    const options = { batchSize, length, ...(limit !== undefined && { limit }) };
    const found: [number, number][] = [];
    const batches = [...task.evalBatches("valid", options)];
    batches.forEach((batch, j) => {
      expect(batch.inputs.shape).toEqual([batchSize, length]);
      const weights = rows(batch.weights);
      rows(batch.targets).forEach((target, b) => {
        target.forEach((token, t) => {
          if (weights[b]![t] === 1) found.push([(b * batches.length + j) * length + t, token]);
        });
      });
    });
    return task.tokenizer!.decode(found.sort(([a], [b]) => a - b).map(([, token]) => token));
  };

  it.each([
    [7, 3],
    [8, 1],
    [16, 2],
    [49, 4],
  ])("scores every token of the split but the first once at length %i, batch %i", (length, batchSize) => {
    expect(scoredTokens(length, batchSize)).toBe(numbers.slice(901, 950));
  });

  it("scores exactly the first tokens up to a limit, at each length", () => {
    for (const length of [5, 10, 20, 40]) expect(scoredTokens(length, 3, 40)).toBe(numbers.slice(901, 941));
  });

  it("lets a row go on in the same row of the next batch", () => {
    const batches = [...task.evalBatches("test", { batchSize: 2, length: 8 })];
    const first = batches.map((batch) => task.tokenizer!.decode(rows(batch.inputs)[0]!)).join("");
    expect(batches.length).toBeGreaterThan(1);
    expect(numbers.slice(950)).toContain(first);
  });

  it("can be iterated again and does not depend on the seed", () => {
    const batches = task.evalBatches("valid", { batchSize: 2, length: 8 });
    const other = textTask({ text: numbers, tokenizer: characterTokenizer, length: 16, seed: 99 });
    expect([...batches]).toEqual([...batches]);
    expect([...other.evalBatches("valid", { batchSize: 2, length: 8 })]).toEqual([...batches]);
  });

  it("refuses windows that do not fit, and says what would", () => {
    expect(() => task.evalBatches("valid", { batchSize: 1, length: 50 })).toThrow(
      /length 50 needs 51 tokens, the valid split has 50/,
    );
    expect(() => task.evalBatches("valid", { batchSize: 1, length: 20, limit: 10 })).toThrow(/limit must be at least/);
    expect(() => task.trainBatch(0, 1, 900)).toThrow(/needs 901 tokens, the train split has 900/);
    expect(() => task.trainBatch(0, 0)).toThrow(/batchSize must be an integer ≥ 1, got 0/);
    expect(() => textTask({ text: "too short", tokenizer: characterTokenizer })).toThrow(/at least 40 characters/);
  });
});

describe("tokenizers", () => {
  it("characters: those of the training split, in order of code points, 0 for all others", () => {
    const tokenizer = characterTokenizer("b😀aab");
    expect(tokenizer.vocabularySize).toBe(4);
    expect([...tokenizer.encode("ab😀z")]).toEqual([1, 2, 3, 0]);
    expect(tokenizer.decode([1, 2, 3, 0, 9])).toBe("ab😀\ufffd\ufffd");
  });

  it("bytes: round trip of any text", () => {
    expect(byteTokenizer().decode(byteTokenizer().encode("\ufeffnaïve 😀"))).toBe("\ufeffnaïve 😀");
  });

  it.each([characterTokenizer("hello"), byteTokenizer()])("are rebuilt from their configs", (tokenizer) => {
    const rebuilt = tokenizerFromConfig(JSON.parse(JSON.stringify(tokenizer.config)));
    expect(rebuilt.vocabularySize).toBe(tokenizer.vocabularySize);
    expect(rebuilt.encode("help")).toEqual(tokenizer.encode("help"));
  });

  it("never cut a character in two where the splits meet", () => {
    const text = "😀".repeat(301);
    const { tokenizer, vocabularySize } = textTask({ text, tokenizer: characterTokenizer });
    expect(vocabularySize).toBe(2);
    expect(tokenizer!.encode(text)).toHaveLength(301);
  });

  it("put an unknown character of the validation split to token 0", () => {
    const text = `${"ab".repeat(450)}${"z".repeat(100)}`;
    const unknown = textTask({ text, tokenizer: characterTokenizer });
    const [batch] = [...unknown.evalBatches("valid", { batchSize: 1, length: 49 })];
    expect(new Set(batch!.targets.toNumbers())).toEqual(new Set([0]));
  });
});

describe("metrics of text", () => {
  const totals = { lossSum: 10 * Math.LN2, tokens: 5, correct: 0, rows: 1, exactRows: 0 };

  it("bits per character count characters, not bytes", () => {
    expect(loss.value(totals)).toBeCloseTo(2 * Math.LN2);
    expect(bitsPerCharacter(1).value(totals)).toBeCloseTo(2);
    const bytes = textTask({ text: "äöüß".repeat(50), tokenizer: byteTokenizer });
    expect(bytes.metrics.map(({ name }) => name)).toEqual(["loss", "bitsPerCharacter"]);
    expect(bytes.metrics[1]!.value(totals)).toBeCloseTo(4);
  });

  it("tell another text or seed by the fingerprint", () => {
    const print = (text: string, seed: number): string =>
      textTask({ text, tokenizer: characterTokenizer, seed }).fingerprint;
    expect(print(numbers, 0)).toBe(print(numbers, 0));
    expect(print(numbers, 1)).not.toBe(print(numbers, 0));
    expect(print(numbers.replace("7", "8"), 0)).not.toBe(print(numbers, 0));
  });
});
