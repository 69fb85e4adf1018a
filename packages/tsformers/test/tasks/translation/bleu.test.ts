import { describe, expect, it } from "vitest";
import { bleu } from "../../../src/tasks/translation/bleu.ts";
import { tokenize13a } from "../../../src/tasks/translation/tokenize-13a.ts";
import cases from "../../fixtures/bleu/cases.json" with { type: "json" };

describe("BLEU equals sacreBLEU's", () => {
  it.each(cases.tokenised)("tokens of $text", ({ text, tokens }) => {
    expect(tokenize13a(text)).toEqual(tokens);
  });

  it.each(cases.corpora)("$name", ({ translations, references, ...wanted }) => {
    const { score, precisions, brevityPenalty, length, referenceLength } = bleu(translations, references);
    expect([length, referenceLength]).toEqual([wanted.length, wanted.referenceLength]);
    expect(brevityPenalty).toBeCloseTo(wanted.brevityPenalty, 12);
    for (const [i, precision] of precisions.entries()) expect(precision).toBeCloseTo(wanted.precisions[i]!, 10);
    expect(score).toBeCloseTo(wanted.score, 10);
  });
});

it("refuses translations without references", () => {
  expect(() => bleu(["a"], [])).toThrow(
    "bleu: expected a reference for each translation, and at least one, got 0 for 1",
  );
  expect(() => bleu([], [])).toThrow("got 0 for 0");
});
