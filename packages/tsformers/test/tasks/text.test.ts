import { describe, expect, it } from "vitest";

import { bitsPerCharacter, loss } from "../../src/tasks/metric.ts";
import { textTask, tokensInMemory, tokenTask } from "../../src/tasks/text/text.ts";
import {
  byteTokenizer,
  characterTokenizer,
  readTokenizerConfig,
  tokenizerFromConfig,
} from "../../src/tokenizers/index.ts";

/** 1,000 characters in which every window is at one place only: 250 numbers of three digits and a space. */
const numbers = Array.from({ length: 250 }, (_, n) => `${String(n).padStart(3, "0")} `).join("");
const task = textTask({ text: numbers, tokenizer: characterTokenizer, length: 16, seed: 3 });
const rows = (array: { shape: readonly number[]; toNumbers(): number[] }): number[][] => {
  const flat = array.toNumbers();
  return Array.from({ length: array.shape[0]! }, (_, b) => flat.slice(b * array.shape[1]!, (b + 1) * array.shape[1]!));
};

describe("textTask: training", () => {
  it("gives windows of the training split, targets one ahead, everything scored", () => {
    const batch = task.views.next.trainBatch(7, 5);
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
    again.views.next.trainBatch(0, 5);
    expect(again.views.next.trainBatch(7, 5)).toEqual(task.views.next.trainBatch(7, 5));
    expect(task.views.next.trainBatch(8, 5)).not.toEqual(task.views.next.trainBatch(7, 5));
    const other = textTask({ text: numbers, tokenizer: characterTokenizer, length: 16, seed: 4 });
    expect(other.views.next.trainBatch(7, 5)).not.toEqual(task.views.next.trainBatch(7, 5));
  });

  it("reaches the first and the last window of the split", () => {
    const short = textTask({ text: numbers.slice(0, 40), tokenizer: characterTokenizer, length: 34 });
    const starts = new Set(rows(short.views.next.trainBatch(0, 64).inputs).map((input) => input.join()));
    expect(starts.size).toBe(36 - 34);
  });
});

describe("textTask: what runs that were begun earlier go on with", () => {
  it.each([
    ["character", characterTokenizer, 12, [3, 7, 7, 1, 3, 7, 5, 8, 1, 2, 5, 9], [4, 7, 1, 4, 4]],
    ["byte", byteTokenizer, 256, [49, 53, 53, 32, 49, 53, 51, 54, 32, 48, 51, 55], [50, 53, 32, 50, 50]],
  ] as const)("has the fingerprint and the batches of version 0.1.0: %s", (kind, tokenizer, size, inputs, targets) => {
    const same = textTask({ text: numbers, tokenizer, length: 16, seed: 3 });
    expect(same.fingerprint).toBe(`text ${kind} bytes=1000 crc32c=6f07b340 seed=3`);
    expect(same.vocabularySize).toBe(size);
    expect(same.views.next.trainBatch(7, 2, 6).inputs.toNumbers()).toEqual(inputs);
    const [first] = [...same.views.next.evalBatches("valid", { batchSize: 1, length: 5, limit: 5 })];
    expect(first!.targets.toNumbers()).toEqual(targets);
  });

  it("draws windows from all of a text of more than 2^32 tokens", () => {
    const places: number[] = [];
    const read = (start: number, end: number): Int32Array => {
      places.push(start);
      return new Int32Array(end - start);
    };
    const short = tokensInMemory(new Int32Array(9));
    const tokenized = { evaluationSize: { characters: 18, bytes: 18, words: 3 }, sizeBytes: 1, sum: 0 };
    const splits = { train: { length: 5 * 2 ** 32, read }, valid: short, test: short };
    const task = tokenTask({ tokenized: { ...tokenized, splits }, tokenizer: byteTokenizer() });
    task.views.next.trainBatch(1, 2000);
    const largest = Math.max(...places);
    expect(largest).toBeGreaterThan(4.9 * 2 ** 32);
    expect(largest).toBeLessThanOrEqual(5 * 2 ** 32 - 129);
    expect(Math.min(...places)).toBeLessThan(0.1 * 2 ** 32);
    for (const remainder of [0, 1, 2, 3, 4]) expect(places.some((place) => place % 5 === remainder)).toBe(true);
  });
});

describe("textTask: evaluation", () => {
  const scoredTokens = (length: number, batchSize: number, limit?: number): string => {
    const options = { batchSize, length, ...(limit !== undefined && { limit }) };
    const found = [...task.views.next.evalBatches("valid", options)].flatMap((batch) => {
      expect(batch.inputs.shape).toEqual([batchSize, length]);
      const weights = rows(batch.weights).flat();
      return rows(batch.targets)
        .flat()
        .filter((_, at) => weights[at] === 1);
    });
    return task.tokenizer!.decode(found);
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

  it("can be iterated again and does not depend on the seed", () => {
    const batches = task.views.next.evalBatches("valid", { batchSize: 2, length: 8 });
    const other = textTask({ text: numbers, tokenizer: characterTokenizer, length: 16, seed: 99 });
    expect([...batches]).toEqual([...batches]);
    expect([...other.views.next.evalBatches("valid", { batchSize: 2, length: 8 })]).toEqual([...batches]);
  });

  it("refuses windows that do not fit, and says what would", () => {
    expect(() => task.views.next.evalBatches("valid", { batchSize: 1, length: 50 })).toThrow(
      /length 50 needs 51 tokens, the valid split has 50/,
    );
    expect(() => task.views.next.evalBatches("valid", { batchSize: 1, length: 20, limit: 10 })).toThrow(
      /limit must be at least/,
    );
    expect(() => task.views.next.trainBatch(0, 1, 900)).toThrow(/needs 901 tokens, the train split has 900/);
    expect(() => task.views.next.trainBatch(0, 0)).toThrow(/batchSize must be an integer ≥ 1, got 0/);
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

  it.each([characterTokenizer("hello"), byteTokenizer()])("are rebuilt from their configs", async (tokenizer) => {
    const rebuilt = await tokenizerFromConfig(JSON.parse(JSON.stringify(tokenizer.config)));
    expect(rebuilt.vocabularySize).toBe(tokenizer.vocabularySize);
    expect(rebuilt.encode("help")).toEqual(tokenizer.encode("help"));
  });

  it("are many millions of characters at once: no list is collected on the way", () => {
    const text = "abcdefgh".repeat(2 ** 21);
    expect(characterTokenizer("abcdefgh").encode(text)).toHaveLength(2 ** 24);
  });

  it("name the characters that they have no token for, each once, in the order in which they come", () => {
    const tokenizer = characterTokenizer("alphbet ");
    expect(tokenizer.unknownIn("ALPHA € 😀 LA\ud83d")).toEqual(["A", "L", "P", "H", "€", "😀", "\ud83d"]);
    expect(tokenizer.unknownIn("alpha")).toEqual([]);
    expect(tokenizer.unknownToken).toBe(0);
    expect([...tokenizer.encode("€a")][0]).toBe(tokenizer.unknownToken);
    expect(byteTokenizer().unknownIn("ALPHA €")).toEqual([]);
    expect(byteTokenizer().unknownToken).toBeUndefined();
  });

  it.each([characterTokenizer("b😀aab").config, byteTokenizer().config])(
    "have configs that are read back: %o",
    (config) => {
      expect(readTokenizerConfig(JSON.parse(JSON.stringify(config)), "run/task.json")).toEqual(config);
    },
  );

  it.each<[unknown, RegExp]>([
    [{}, /^Error: a\/t\.json: unknown tokenizer.*[Ee]xpected one of byte, character/],
    [null, /"tokenizer": expected object, got null/],
    [[], /"tokenizer": expected object, got \[\]/],
    [{ kind: "bytes" }, /unknown tokenizer "bytes"; did you mean "byte"\? Expected one of byte, character/],
    [{ kind: "byte", alphabet: "a" }, /unknown setting "tokenizer\.alphabet"/],
    [{ kind: "character" }, /"tokenizer\.alphabet": expected string/],
    [{ kind: "character", alphabet: "" }, /"tokenizer\.alphabet": expected characters in ascending order, each once/],
    [{ kind: "character", alphabet: "ba" }, /"tokenizer\.alphabet": expected characters in ascending order, each once/],
    [{ kind: "character", alphabet: "aab" }, /"tokenizer\.alphabet": expected characters in ascending order/],
  ])("refuse a stored config that is none: %o", (config, message) => {
    let said = "";
    try {
      readTokenizerConfig(config, "a/t.json");
    } catch (error) {
      said = String(error);
    }
    expect(said).toMatch(message);
    expect(said).toMatch(/^Error: a\/t\.json: /);
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
    const [batch] = [...unknown.views.next.evalBatches("valid", { batchSize: 1, length: 49 })];
    expect(new Set(batch!.targets.toNumbers())).toEqual(new Set([0]));
  });
});

describe("metrics of text", () => {
  const totals = { lossSum: 10 * Math.LN2, tokens: 5, correct: 0, rows: 1, exactRows: 0 };

  it("bits per character count characters, not bytes", () => {
    expect(loss.value(totals)).toBeCloseTo(2 * Math.LN2);
    expect(bitsPerCharacter(1).value(totals)).toBeCloseTo(2);
    const bytes = textTask({ text: "äöüß".repeat(50), tokenizer: byteTokenizer });
    expect(bytes.metrics.map(({ name }) => name)).toEqual([
      "loss",
      "bitsPerCharacter",
      "bitsPerByte",
      "perplexity",
      "wordPerplexity",
    ]);
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
