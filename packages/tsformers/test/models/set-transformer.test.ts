import { compile, fromNumbers, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { setTransformer } from "../../src/models/index.ts";
import { classifier, clusterer } from "../../src/objectives/index.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { vocabularySize: 9, layers: 2, modelWidth: 8, heads: 2 };
const bodies = [
  ["induced, as in the paper", setTransformer({ ...sizes, points: 3 }).body],
  ["direct, as in the paper", setTransformer({ ...sizes, points: 0 }).body],
  ["induced, as in the code", setTransformer({ ...sizes, points: 3, form: "published" }).body],
] as const;

const set = [3, 1, 4, 1, 5, 2];
const order = [5, 2, 0, 3, 1, 4];
const ints = (rows: readonly (readonly number[])[]) =>
  fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 5);
}

describe.each(bodies)("%s", (_, body) => {
  const model = classifier(body, { classes: 3 });
  const params = model.init(randomKey(1));
  const pass = compile(
    (given: unknown, tokens: Tensor, mask: Tensor) => model.apply(given as never, { tokens, mask }, evaluation).logits,
    { device },
  );
  const logits = async (rows: readonly (readonly number[])[], masks: readonly (readonly number[])[]) => {
    const out = (await pass(params as never, ints(rows) as never, ints(masks) as never)) as unknown as {
      read(): Promise<NDArray>;
    };
    return (await out.read()).toNumbers();
  };

  test("what it tells does not depend on the order of the elements, nor on padding, but on the elements", async () => {
    const all = set.map(() => 1);
    const [first, again] = [await logits([set], [all]), await logits([order.map((i) => set[i]!)], [all])];
    expectClose(again, first);
    const padded = await logits(
      [
        [...set, 7, 7],
        [...set, 7, 8],
      ],
      [
        [...all, 0, 0],
        [...all, 1, 1],
      ],
    );
    expectClose(padded.slice(0, 3), first);
    expect(Math.max(...padded.slice(3).map((value, i) => Math.abs(value - first[i]!)))).toBeGreaterThan(1e-4);
  });

  test("the head's parameters and those of the pooling stand side by side", () => {
    const { classHead } = params as { classHead: Record<string, unknown> };
    expect(Object.keys(classHead).sort()).toEqual(["bias", "pool", "weight"]);
    expect(Object.keys(classHead.pool as object)).toEqual(["pool", "blocks"]);
  });
});

test("of a mixture each component is read by a seed of its own", () => {
  const [, body] = bodies[0];
  const model = clusterer(body, { components: 4, features: 2 });
  const { mixtureHead } = model.init(randomKey(1)) as {
    mixtureHead: { weight: NDArray; pool: { pool: { seeds: NDArray } } };
  };
  expect(mixtureHead.pool.pool.seeds.shape).toEqual([4, 8]);
  expect(mixtureHead.weight.shape).toEqual([8, 5]);
});

test("sizes that do not fit are refused", () => {
  expect(() => setTransformer({ ...sizes, heads: 3 })).toThrow("heads");
});
