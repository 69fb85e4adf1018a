import { fileURLToPath } from "node:url";
import { compile, normal, randomKey, readTree, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { type DeltaInput, deltaRule } from "../../src/attention/delta/delta-net.ts";
import { verifyDirectory } from "../../src/verify/verify.ts";

const device = await openCpu();
afterAll(() => device.close());

test("outputs, states and gradients are those of the fixture", async () => {
  const golden = fileURLToPath(new URL("../fixtures/golden/delta_rule", import.meta.url));
  const rows = await verifyDirectory(golden, { device });
  expect(rows.length).toBeGreaterThan(30);
  expect(rows.filter(({ ok }) => !ok)).toEqual([]);
});

test.each([1, 2, 7, 16, 64])("chunks of %i give what one position after the other does", async (chunk) => {
  const run = compile(
    (q: Tensor, k: Tensor, v: Tensor, beta: Tensor) => {
      const input: DeltaInput = { q, k, v, beta };
      return { chunks: deltaRule(input, undefined, chunk).mixed, steps: deltaRule(input, undefined, 1).mixed };
    },
    { device },
  );
  const shape = [2, 3, 23, 4];
  const drawn = (seed: number, of: number[]) => normal(randomKey(seed), of, { deviation: 0.4 });
  const inputs = [drawn(1, shape), drawn(2, shape), drawn(3, shape), drawn(4, [2, 3, 23])] as never as [
    never,
    never,
    never,
    never,
  ];
  const { chunks, steps } = (await readTree((await run(...inputs)) as never)) as Record<
    string,
    { toNumbers(): number[] }
  >;
  const expected = steps!.toNumbers();
  for (const [i, value] of chunks!.toNumbers().entries()) expect(value).toBeCloseTo(expected[i]!, 5);
  await run.release();
});
