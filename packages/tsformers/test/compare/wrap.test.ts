import * as fc from "fast-check";
import { expect, it } from "vitest";
import { wrapText } from "../../src/cli/terminal.ts";
import { durationText } from "../../src/compare/text/figures.ts";
import { wrapLines } from "../../src/compare/text/wrap.ts";

const words = fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1, maxLength: 30 });

it("texts are broken at spaces, into lines that fit and that no further word fits into", () => {
  fc.assert(
    fc.property(words, fc.integer({ min: 10, max: 40 }), fc.integer({ min: 0, max: 4 }), (all, columns, indent) => {
      const lines = wrapLines(all.join(" "), columns, columns - indent);
      expect(lines.join(" ")).toBe(all.join(" "));
      lines.forEach((line, i) => {
        const room = i === 0 ? columns : columns - indent;
        expect(line.includes(" ") ? line.length : 0).toBeLessThanOrEqual(room);
        const [next] = (lines[i + 1] ?? "").split(" ");
        if (next !== "") expect(line.length + 1 + next!.length).toBeGreaterThan(room);
      });
    }),
  );
  expect(wrapText("one two three", 7, 2)).toBe("one two\n  three");
});

it("durations have two units, the smaller one with two digits", () => {
  expect([0, 0.25, 2.52, 9.97, 42.4, 59.6, 185, 7260].map(durationText)).toEqual([
    "0 s",
    "0.25 s",
    "2.5 s",
    "10 s",
    "42 s",
    "1 min 00 s",
    "3 min 05 s",
    "2 h 01 min",
  ]);
});
