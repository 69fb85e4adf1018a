// Kernels of exponentials whose features are far beyond float32: outputs and gradients are those of the definition.
import {
  compile,
  constant,
  mul,
  type NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  sum,
  type Tensor,
  valueAndGradWithExtra,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { describe, expect, test } from "vitest";
import { exactly } from "../../src/attention/kernel/denominator.ts";
import { hyperbolic, positive } from "../../src/attention/kernel/favor-features.ts";
import { exponential, type FeatureMap, mapped } from "../../src/attention/kernel/feature-map.ts";
import { type KernelOptions, kernelAttention } from "../../src/attention/kernel/kernel-attention.ts";

const device = await openCpu();
const [T, D, M] = [9, 4, 24];
const rows = normal(randomKey(4), [M, D]);
/** The first key is padding. */
const mask = ndarray(
  Array.from({ length: T }, (_, t) => (t === 0 ? 0 : 1)),
  [1, T],
);
const drawn = (seed: number, deviation: number) => normal(randomKey(seed), [1, 1, T, D], { deviation });
const loss = drawn(9, 1);

type Inputs = { readonly q: NDArray; readonly k: NDArray; readonly v: NDArray };

/** Logarithms of the features of a vector, in float64. */
type Logs = (x: readonly number[]) => readonly number[];
const ofRows: Logs = (x) => {
  const w = rows.toNumbers();
  const scaled = x.map((a) => a * D ** -0.25);
  const half = scaled.reduce((sum, a) => sum + a * a, 0) / 2;
  return Array.from({ length: M }, (_, m) => scaled.reduce((sum, a, d) => sum + a * w[m * D + d]!, -half));
};
const opposite: Logs = (x) => [...ofRows(x), ...ofRows(x.map((a) => -a))];

const kernels: Readonly<Record<string, { readonly map: (rows: Tensor) => FeatureMap; readonly logs: Logs }>> = {
  positive: { map: (rows) => positive().map(rows), logs: ofRows },
  hyperbolic: { map: (rows) => hyperbolic().map(rows), logs: opposite },
  exponential: { map: () => exponential, logs: (x) => x },
};

/** The definition in float64: every weight by its logarithm. `y` [T · D]. */
function plainly(logs: Logs, q: number[], k: number[], v: number[], causal: boolean, padded: boolean): number[] {
  const row = (of: number[], t: number) => of.slice(t * D, (t + 1) * D);
  return Array.from({ length: T }, (_, t) => {
    const query = logs(row(q, t));
    const seen = Array.from({ length: causal ? t + 1 : T }, (_, s) => s).filter((s) => !(padded && s === 0));
    const terms = seen.map((s) => logs(row(k, s)).map((x, m) => x + query[m]!));
    const most = Math.max(...terms.flat());
    const weights = terms.map((of) => of.reduce((sum, x) => sum + Math.exp(x - most), 0));
    const total = weights.reduce((a, b) => a + b, 0);
    return Array.from({ length: D }, (_, d) =>
      seen.length === 0 ? 0 : weights.reduce((sum, w, i) => sum + w * v[seen[i]! * D + d]!, 0) / total,
    );
  }).flat();
}

/** Outputs, and the gradients of `Σ y·loss` by central differences. */
function expected(logs: Logs, { q, k, v }: Inputs, causal: boolean, padded: boolean) {
  const given = { q: q.toNumbers(), k: k.toNumbers(), v: v.toNumbers() };
  const value = (x: typeof given) =>
    plainly(logs, x.q, x.k, x.v, causal, padded).reduce((sum, y, i) => sum + y * loss.toNumbers()[i]!, 0);
  const slope = (name: keyof Inputs) =>
    given[name].map((x, at) => {
      const moved = (by: number) => value({ ...given, [name]: given[name].with(at, x + by) });
      return (moved(1e-5) - moved(-1e-5)) / 2e-5;
    });
  return { y: plainly(logs, given.q, given.k, given.v, causal, padded), q: slope("q"), k: slope("k"), v: slope("v") };
}

type Found = { readonly [Part in "y" | "q" | "k" | "v"]: readonly number[] };

/** What {@link kernelAttention} and its gradient give. */
function prepared(
  map: (rows: Tensor) => FeatureMap,
  options: Pick<KernelOptions, "causal" | "chunk">,
  padded: boolean,
) {
  const both = valueAndGradWithExtra((x: { q: Tensor; k: Tensor; v: Tensor }) => {
    const own = { ...options, denominator: exactly, ...(padded && { keyMask: constant(mask) }) };
    const { mixed } = kernelAttention(mapped(map(constant(rows)), x.q, x.k), x.v, own);
    return [sum(mul(mixed, constant(loss))), mixed] as const;
  });
  const run = compile(both, { device });
  return async (given: Inputs): Promise<Found> => {
    const { gradient, extra } = await readTree(await run(given as never));
    const { q, k, v } = gradient as unknown as Inputs;
    return { y: (extra as unknown as NDArray).toNumbers(), q: q.toNumbers(), k: k.toNumbers(), v: v.toNumbers() };
  };
}

describe.each(Object.keys(kernels))("%s", (name) => {
  test.each([
    ["all keys", { causal: false }],
    ["earlier keys", { causal: true }],
    ["earlier keys, in chunks", { causal: true, chunk: 4 }],
  ] as const)("%s", async (_, options) => {
    const { map, logs } = kernels[name]!;
    for (const padded of [false, true]) {
      const have = prepared(map, options, padded);
      // Usual lengths of vectors, and such that exponents of keys are far below −87, where float32 ends.
      for (const [ofQueries, ofKeys] of [
        [1, 1],
        [0.5, 30],
        [8, 8],
      ] as const) {
        const given = { q: drawn(1, ofQueries), k: drawn(2, ofKeys), v: drawn(3, 1) };
        const want = expected(logs, given, options.causal, padded);
        for (const [part, numbers] of Object.entries(await have(given))) {
          const wanted = want[part as keyof Found];
          const most = Math.max(1, ...wanted.map(Math.abs));
          const worst = Math.max(...numbers.map((x, i) => Math.abs(x - wanted[i]!) / most));
          // Exponents of some hundreds have 24 bits: their exponentials are right to four digits.
          expect(worst, `${part} with ${ofQueries}, ${ofKeys}, padded: ${padded}`).toBeLessThan(3e-4);
        }
      }
    }
  });

  test("is finite where the normaliser itself underflows", async () => {
    const { map } = kernels[name]!;
    const q = drawn(1, 90);
    const against = ndarray(
      q.toNumbers().map((x) => -x),
      q.shape,
    );
    for (const causal of [false, true]) {
      for (const numbers of Object.values(await prepared(map, { causal }, false)({ q, k: against, v: drawn(3, 1) })))
        expect(numbers.every(Number.isFinite)).toBe(true);
    }
  });
});
