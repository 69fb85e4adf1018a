import { expect, it } from "vitest";
import { makeModel } from "../../src/run/model.ts";
import { makeParts, unusualParts } from "../../src/run/parts.ts";

const place = { modelWidth: 16, heads: 2, layers: 3, length: 16, causal: true };

it("each layer gets the mixer and the pattern that are chosen for it", async () => {
  const { mixer, pattern } = await makeParts(
    {
      mixer: [{ kind: "lsh" }, { kind: "linear" }, { kind: "softmax" }],
      pattern: [{ kind: "window", before: 2 }, { kind: "full" }, { kind: "window", before: 1 }],
    },
    place,
  );
  expect([0, 1, 2].map((layer) => mixer!(layer).sees)).toEqual(["earlier", "earlier", "pattern"]);
  expect(new Set([0, 1].map((layer) => mixer!(layer).name)).size).toBe(2);
  // What position 9 sees of 16.
  expect([0, 1, 2].map((layer) => pattern!(layer).keys(9, 16))).toEqual([
    [7, 10],
    [0, 10],
    [8, 10],
  ]);
});

it("one choice is for all layers; a pattern's own differences by layer stay", async () => {
  const { pattern } = await makeParts({ pattern: { kind: "strided", stride: 4, use: "layers" } }, place);
  expect(pattern!(0).keys(9, 16)).not.toEqual(pattern!(1).keys(9, 16));
  expect(pattern!(0).keys(9, 16)).toEqual(pattern!(2).keys(9, 16));
});

it("what a model has by itself is left to it", async () => {
  expect(await makeParts({ mixer: { kind: "softmax" } }, place)).toEqual({});
  expect(unusualParts({ kind: "gpt", mixer: { kind: "softmax" }, position: { kind: "learned" } })).toEqual([]);
  expect(unusualParts({ kind: "gpt", mixer: [{ kind: "lsh" }, { kind: "softmax" }] })).toEqual(["mixer lsh, softmax"]);
});

it("a part that a model has itself, and lists of another length, are refused", async () => {
  const make = (model: object) => makeModel({ model: { kind: "gpt", layers: 2, ...model }, length: 8 }, 9);
  await expect(make({ kind: "llama", position: { kind: "alibi" } })).rejects.toThrow(
    "llama has its own positions; gpt and bert take any",
  );
  await expect(make({ mixer: [{ kind: "lsh" }] })).rejects.toThrow(
    "mixer: names mixers for 1 layer (lsh), and the model has 2",
  );
  await expect(make({ mixer: { kind: "etc" } })).rejects.toThrow("etc: is bidirectional only, not causal");
  await expect(make({ kind: "gtp" })).rejects.toThrow('unknown "gtp"; did you mean "gpt"?');
  await expect(make({ mixer: { kind: "lsh" }, pattern: { kind: "window" } })).rejects.toThrow("does nothing with lsh");
});
