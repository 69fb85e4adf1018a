import { compile, ndarray, readTree, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { mixedLogProbabilities, neighbourLogProbabilities, neighbourProbabilities } from "../../src/retrieval/index.ts";

const device = await openCpu();
afterAll(() => device.close());

const squaredDistances = [1, 2, 2.5, 40, 41, 300];
const values = [3, 1, 3, 0, 0, 2];

async function run(fn: (d: Tensor, v: Tensor) => Tensor): Promise<number[]> {
  const compiled = compile(fn, { device });
  const d = ndarray(Float32Array.from(squaredDistances), [2, 3]);
  const found = await compiled(d as never, ndarray(Int32Array.from(values), [2, 3]) as never);
  await compiled.release();
  return ((await readTree(found as never)) as { toNumbers(): number[] }).toNumbers();
}

/** The definition, row by row. */
function plain(row: number, token: number, temperature: number): number {
  const own = [0, 1, 2].map((i) => 3 * row + i);
  const weights = own.map((i) => Math.exp((squaredDistances[own[0]!]! - squaredDistances[i]!) / temperature));
  const total = weights.reduce((a, b) => a + b);
  return own.reduce((sum, i, at) => sum + (values[i] === token ? weights[at]! / total : 0), 0);
}

test.each([1, 2.5])("neighbours with one token add up, temperature %f", async (temperature) => {
  const found = await run((d, v) =>
    neighbourProbabilities({ squaredDistances: d, values: v }, { vocabularySize: 5, temperature }),
  );
  expect(found.length).toBe(10);
  found.forEach((p, i) => {
    expect(p).toBeCloseTo(plain(Math.floor(i / 5), i % 5, temperature), 6);
  });
});

test("the logarithm at a target is that of its probability, −10,000 where no neighbour has it", async () => {
  const targets = ndarray(Int32Array.from([3, 4]), [2]);
  const found = await run((d, v) =>
    neighbourLogProbabilities({ squaredDistances: d, values: v }, targets as unknown as Tensor),
  );
  expect(found[0]).toBeCloseTo(Math.log(plain(0, 3, 1)), 5);
  expect(found[1]).toBeCloseTo(-10_000, 2);
});

test.each([0, 1, -0.1, Number.NaN])("a share of %f is refused", async (lambda) => {
  await expect(run((d) => mixedLogProbabilities(d, d, lambda))).rejects.toThrow(
    `lambda: expected a number between 0 and 1, got ${lambda}`,
  );
});
