import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { askedComparison } from "../../src/cli/compare-settings.ts";
import { prepareComparison } from "../../src/compare/execution/prepare-comparison.ts";

const folder = new URL("../../../../examples/comparisons/", import.meta.url);

describe("examples/comparisons", () => {
  it.each(readdirSync(folder))("%s can be made: every variant on every task", async (name) => {
    const { cells, settings } = askedComparison({ config: fileURLToPath(new URL(name, folder)), out: "unused" });
    const { vary = {}, variants = [{}] } = settings;
    const axes = Object.values(vary).map((values) => values.length);
    expect(cells).toHaveLength(axes.reduce((product, count) => product * count, variants.length));
    const prepared = await prepareComparison(cells, settings);
    expect(prepared.cells.map(({ variant }) => variant)).toEqual(cells.map(({ variant }) => variant));
  });
});
