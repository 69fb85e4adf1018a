import { compile, constant, fromNumbers, normal, randomKey, readTree, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { attend } from "../../../src/attention/core/executor.ts";
import { makeView } from "../../../src/attention/core/view.ts";
import { attendWhole } from "../../../src/attention/core/whole.ts";
import type { PatternEntry } from "../../../src/attention/patterns/index.ts";
import { patterns } from "../../../src/catalogue/patterns.ts";

const device = await openCpu();
afterAll(() => device.close());

const heads = 3;
const cases = Object.entries<PatternEntry>(patterns).flatMap(([name, entry]) =>
  entry.directions.flatMap((direction) => [100].map((length) => [name, direction, length, entry] as const)),
);

/** Orders and parts in the executor, against the mask of every pair. */
test.each(cases)("%s, %s, length %i: computed in blocks as with a dense mask", async (_, direction, length, entry) => {
  const layers = entry.make({}, { length, causal: direction === "causal", heads, layers: 2 });
  const [q, k, v] = [1, 2, 3].map((seed) => normal(randomKey(seed), [1, heads, length, 4]));
  const run = compile(
    (q: Tensor, key: Tensor, value: Tensor) =>
      [0, 1].map((layer) => {
        const keyMask = constant(fromNumbers(new Array<number>(length).fill(1), [1, length], "int32"));
        const sizes = { pattern: layers(layer), queries: length, keys: length, keyMask };
        const options = { scale: 0.5, context: {} };
        return {
          blocks: attend(q, { key, value }, { ...options, view: makeView({ ...sizes, queriesPerBlock: 32 }) }).mixed,
          whole: attendWhole(q, { key, value }, { ...options, view: makeView(sizes) }).mixed,
        };
      }),
    { device },
  );
  for (const { blocks, whole } of await readTree(await run(q!, k!, v!))) {
    const expected = whole.toNumbers();
    expect(Math.max(...blocks.toNumbers().map((x, i) => Math.abs(x - expected[i]!)))).toBeLessThan(1e-5);
    expect(expected.some((x) => x !== 0)).toBe(true);
  }
});
