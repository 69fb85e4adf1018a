import { evaluate, fromNumbers, type NDArray, normal, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { nearestKeys } from "../../src/memory/nearest-keys.ts";

const device = await openCpu();
afterAll(() => device.close());

const [B, H, D] = [2, 2, 3];

/** Keys whose products are small whole numbers, so that many are equal, or real numbers. */
function arrays(queries: number, size: number, whole: boolean): { q: NDArray; keys: NDArray } {
  const made = (seed: number, shape: number[]) => {
    const array = normal(randomKey(seed), shape);
    return whole ? fromNumbers(array.toNumbers().map(Math.round), shape) : array;
  };
  return { q: made(1, [B, H, queries, D]), keys: made(2, [B, H, size, D]) };
}

/** The definition: all scores of a query, sorted; hidden keys come last. */
function expected(q: NDArray, keys: NDArray, seen: readonly number[], count: number): number[][] {
  const [queries, size] = [q.shape[2]!, keys.shape[2]!];
  const [a, b] = [q.toNumbers(), keys.toNumbers()];
  return Array.from({ length: B * H * queries }, (_, row) => {
    const pair = Math.floor(row / queries);
    const of = (x: readonly number[], at: number) => x.slice(at * D, (at + 1) * D);
    const scores = Array.from({ length: size }, (_, s) => {
      if (seen[Math.floor(pair / H) * size + s] === 0) return Number.NEGATIVE_INFINITY;
      const key = of(b, pair * size + s);
      return of(a, row).reduce((sum, x, i) => sum + Math.fround(x * key[i]!), 0);
    });
    return [...scores].sort((x, y) => y - x).slice(0, count);
  });
}

describe.each([
  ["in one part", 7, 24, 4, undefined],
  ["keys and queries in parts", 7, 24, 4, 64],
  ["a last part smaller than the count", 5, 21, 4, 96],
  ["one key at a time is too few", 3, 10, 5, 1],
  ["long enough for groups", 3, 256, 2, undefined],
  ["groups in parts", 6, 320, 2, 1024],
  ["all of them", 3, 6, 6, undefined],
])("%s", (_, queries, size, count, scoresAtATime) => {
  test.each([false, true])("finds the largest products; many equal: %s", async (whole) => {
    const { q, keys } = arrays(queries, size, whole);
    // Row 1 sees fewer than it asks for.
    const seen = Array.from({ length: B * size }, (_, i) => (i < size ? Number(i % 5 !== 2) : Number(i === size + 3)));
    const run = (q: Tensor, keys: Tensor, seen: Tensor) =>
      nearestKeys(q, keys, { count, seen, ...(scoresAtATime !== undefined && { scoresAtATime }) });
    const { places, found } = await evaluate(run, device, q, keys, fromNumbers(seen, [B, size], "bool"));
    const best = expected(q, keys, seen, count);
    const [at, real] = [places.toNumbers(), found.toNumbers()];
    const products = expectedProducts(q, keys);
    best.forEach((values, row) => {
      const own = at.slice(row * count, (row + 1) * count);
      expect(new Set(own).size).toBe(count);
      values.forEach((value, i) => {
        expect(real[row * count + i]).toBe(Number.isFinite(value) ? 1 : 0);
        if (Number.isFinite(value)) expect(products(row, own[i]!)).toBeCloseTo(value, 5);
      });
    });
  });
});

function expectedProducts(q: NDArray, keys: NDArray): (row: number, place: number) => number {
  const [queries, size] = [q.shape[2]!, keys.shape[2]!];
  const [a, b] = [q.toNumbers(), keys.toNumbers()];
  return (row, place) => {
    const first = (Math.floor(row / queries) * size + place) * D;
    return a.slice(row * D, (row + 1) * D).reduce((sum, x, i) => sum + x * b[first + i]!, 0);
  };
}

test("more keys than there are is refused", async () => {
  const { q, keys } = arrays(2, 4, false);
  const seen = fromNumbers(new Array<number>(B * 4).fill(1), [B, 4], "bool");
  const run = (q: Tensor, keys: Tensor, seen: Tensor) => nearestKeys(q, keys, { count: 5, seen });
  await expect(async () => evaluate(run, device, q, keys, seen)).rejects.toThrow(
    "nearestKeys: expected a count of at most 4 keys, got 5",
  );
});
