import { expect, test } from "vitest";
import type { Decoder } from "../../src/generate/decoder.ts";
import {
  encodePrompt,
  generate,
  generateText,
  listed,
  PromptError,
  type TextOptions,
  type Written,
} from "../../src/generate/generate.ts";
import { LogitsError } from "../../src/generate/sampling.ts";
import { byteTokenizer, characterTokenizer } from "../../src/tokenizers/index.ts";

/** A decoder that wants to say these tokens, one after the other, whatever it reads; NaN is what it cannot say. */
function speaker(tokens: readonly number[], { vocabularySize = 256, maxLength = 1000 } = {}): Decoder {
  let [length, at] = [0, 0];
  return {
    maxLength,
    get length() {
      return length;
    },
    read: async (read) => {
      length += read.length;
      const wanted = tokens[at++]!;
      return Float32Array.from({ length: vocabularySize }, (_, token) =>
        Number.isNaN(wanted) ? wanted : token === wanted ? 30 : -token / 1000,
      );
    },
    restart: () => {},
    release: async () => {},
  };
}

/** Everything that is given out, and the return value or the error. */
async function collected<T>(source: AsyncGenerator<T, Written>): Promise<{ made: T[]; end: Written | Error }> {
  const made: T[] = [];
  try {
    for (;;) {
      const next = await source.next();
      if (next.done) return { made, end: next.value };
      made.push(next.value);
    }
  } catch (error) {
    return { made, end: error as Error };
  }
}

const spoken = [5, 6, 7, 8, 9];

test.each([
  [{ count: 3 }, [5, 6, 7], "count"],
  [{ count: 9, endTokens: [3, 8] }, [5, 6, 7], "end token"],
  [{ count: 9, stopTokens: [6] }, [5], "stop"],
  [{ count: 9, signal: AbortSignal.abort() }, [5], "interrupted"],
  [{ count: 0 }, [], "count"],
])("%j ends for its own reason", async (options, made, ended) => {
  const source = generate(speaker(spoken), [1, 2], { ...options, temperature: 0 });
  expect(await collected(source)).toEqual({ made, end: { ended, tokens: made.length } });
});

test("at the decoder's last position one more token is known, and that is the end", async () => {
  const source = generate(speaker(spoken, { maxLength: 4 }), [1, 2], { count: 9, temperature: 0 });
  expect(await collected(source)).toEqual({ made: [5, 6, 7], end: { ended: "positions", tokens: 3 } });
  const exact = generate(speaker(spoken, { maxLength: 4 }), [1, 2], { count: 3, temperature: 0 });
  expect((await collected(exact)).end).toMatchObject({ ended: "count" });
});

test("forbidden tokens give way to the next most likely", async () => {
  const source = generate(speaker(spoken), [1], { count: 3, temperature: 0, forbiddenTokens: [6, 0] });
  expect((await collected(source)).made).toEqual([5, 1, 7]);
});

test.each([{ temperature: 0 }, {}])("logits that are not finite end it after what was written: %j", async (options) => {
  const { made, end } = await collected(generate(speaker([5, 6, Number.NaN]), [1], { ...options, count: 9 }));
  expect(made).toEqual([5, 6]);
  expect(end).toBeInstanceOf(LogitsError);
  expect((end as Error).message).toContain("after 2 tokens: the model's logits are not finite");
});

test("a count that is no number is refused", async () => {
  const { end } = await collected(generate(speaker(spoken), [1], { count: Number.NaN }));
  expect((end as Error).message).toContain("expected a count of 0 or more, got NaN");
});

const bytes = (text: string) => [...new TextEncoder().encode(text)];
const greedy = { count: 100, temperature: 0 };
const said = (text: string, more: readonly number[] = [], options: Partial<TextOptions> = {}) =>
  collected(generateText(speaker([...bytes(text), ...more]), byteTokenizer(), "x", { ...greedy, ...options }));

test("what is held back for a stop text is shown when the end or an error comes first", async () => {
  const error = await said("all EN", [Number.NaN], { stop: ["END"] });
  expect(error.made.join("")).toBe("all EN");
  expect(error.end).toBeInstanceOf(LogitsError);
  const count = await said("all EN", [], { stop: ["END"], count: 6 });
  expect(count.made.join("")).toBe("all EN");
  expect(await said("all END more", [], { stop: ["END"] })).toMatchObject({ end: { ended: "stop", tokens: 7 } });
  expect(((await said("all", [], { stop: [""] })).end as Error).message).toContain("stop text cannot be empty");
});

test("long text of long characters, behind a long prompt, comes out whole", async () => {
  const text = "naïve €uro 𝄞 and on ".repeat(20);
  const prompt = "äöü".repeat(40);
  const count = bytes(text).length;
  const source = generateText(speaker(bytes(text)), byteTokenizer(), prompt, { count, temperature: 0 });
  const { made, end } = await collected(source);
  expect(made.join("")).toBe(text);
  expect(made.every((piece) => !piece.includes("\ufffd"))).toBe(true);
  expect(end).toEqual({ ended: "count", tokens: count });
});

test("unknown characters: some are read as unknown, all are an error, and the token for them is never drawn", async () => {
  const coder = characterTokenizer("abc");
  expect(encodePrompt(coder, "a€b")).toEqual([1, 0, 2]);
  expect(() => encodePrompt(coder, "ÄÖ€Ä")).toThrow(PromptError);
  expect(() => encodePrompt(coder, "ÄÖ€Ä")).toThrow("not in its alphabet: Ä, Ö, €");
  expect(() => encodePrompt(coder, "")).toThrow("the prompt is empty");
  const source = generateText(speaker([2, 0, 3], { vocabularySize: 4 }), coder, "a€", { count: 3, temperature: 0 });
  expect((await collected(source)).made.join("")).toBe("bac");
});

test("characters are listed as they can be read, no more than twenty", () => {
  expect(listed(["A", "€", "\n", " "])).toBe('A, €, "\\n", " "');
  const many = Array.from({ length: 23 }, (_, i) => String.fromCharCode(65 + i));
  expect(listed(many)).toBe(`${many.slice(0, 20).join(", ")} and 3 more`);
});
