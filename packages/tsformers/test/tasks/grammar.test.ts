import { describe, expect, it } from "vitest";

import { grammarText } from "../../src/tasks/text/grammar.ts";

describe("grammarText", () => {
  it("gives the same text for the same seed, of exactly the length asked for", () => {
    const text = grammarText({ characters: 5000, seed: 1 });
    expect(text).toHaveLength(5000);
    expect(grammarText({ characters: 5000, seed: 1 })).toBe(text);
    expect(grammarText({ characters: 5000, seed: 2 })).not.toBe(text);
    expect(grammarText({ characters: 9000, seed: 1 }).startsWith(text)).toBe(true);
  });

  it("keeps the thing of a paragraph throughout it, so that context helps", () => {
    const paragraphs = grammarText({ characters: 20_000 }).split("\n\n").slice(0, -1);
    const things = /lantern|map|bell|ring|kite|drum|letter|basket/g;
    for (const paragraph of paragraphs) expect(new Set(paragraph.match(things)).size, paragraph).toBe(1);
    expect(new Set(paragraphs.map((paragraph) => paragraph.match(things)![0])).size).toBe(8);
  });
});
