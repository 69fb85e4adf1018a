import { expect, test } from "vitest";
import { linearAttention } from "../../src/attention/kernel/linear-attention.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { decodeStateBytes } from "../../src/generate/decode-state-bytes.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { bert } from "../../src/models/encoders/bert.ts";

const sizes = { vocabularySize: 11, modelWidth: 24, heads: 3, layers: 2, length: 100 };

test("keys and values grow with the length", () => {
  // Two layers, keys and values, 24 features of four bytes.
  expect(decodeStateBytes(gpt(sizes), 100)).toBe(2 * 2 * 100 * 24 * 4);
});

test("a window keeps what it sees, and no more than there is", () => {
  const model = gpt({ ...sizes, pattern: slidingWindow({ before: 9, after: 0 }) });
  expect(decodeStateBytes(model, 100)).toBe(2 * 2 * 10 * 24 * 4);
  expect(decodeStateBytes(model, 5)).toBe(2 * 2 * 5 * 24 * 4);
});

test("linear attention keeps sums of the same size at any length", () => {
  const model = gpt({ ...sizes, mixer: () => linearAttention({ modelWidth: 24, heads: 3, causal: true }) });
  // For each head a sum of products of keys and values, and one of keys.
  expect(decodeStateBytes(model, 10)).toBe(2 * 3 * (8 * 8 + 8) * 4);
  expect(decodeStateBytes(model, 100)).toBe(decodeStateBytes(model, 10));
});

test("a model that sees both sides keeps nothing, for it does not write", () => {
  expect(decodeStateBytes(bert(sizes), 10)).toBeUndefined();
});
