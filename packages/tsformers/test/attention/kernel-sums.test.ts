import {
  compile,
  concat,
  evaluate,
  mul,
  normal,
  randomKey,
  readTree,
  slice,
  sum,
  type Tensor,
  uniform,
  valueAndGrad,
  zeros,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { describe, expect, test } from "vitest";
import { chunkedSums, parallelSums, stepSums, wholeSums } from "../../src/attention/kernel/kernel-sums.ts";

const device = await openCpu();
const [features, width] = [3, 2];

/** q, k [1, 2, T, 3], v [1, 2, T, 2], decays [1, 2, T] and weights of a loss. */
function inputs(length: number, strongest = -3) {
  const array = (seed: number, last: number) => normal(randomKey(seed), [1, 2, length, last]);
  return {
    q: array(1, features),
    k: array(2, features),
    v: array(3, width),
    decay: uniform(randomKey(4), [1, 2, length], { low: strongest, high: 0 }),
    loss: array(5, width),
  };
}

/** The state S ← decay·S + k ⊗ v, then q·S, in float64. */
function plainly({ q, k, v, decay }: ReturnType<typeof inputs>, decays: boolean): number[] {
  const length = q.shape[2]!;
  const [qs, ks, vs, ds] = [q, k, v, decay].map((array) => array.toNumbers()) as [
    number[],
    number[],
    number[],
    number[],
  ];
  const out: number[] = [];
  for (let head = 0; head < 2; head++) {
    const state = new Float64Array(features * width);
    for (let t = head * length; t < (head + 1) * length; t++) {
      for (let m = 0; m < features; m++) {
        for (let d = 0; d < width; d++) {
          const kept = decays ? Math.exp(ds[t]!) * state[m * width + d]! : state[m * width + d]!;
          state[m * width + d] = kept + ks[t * features + m]! * vs[t * width + d]!;
        }
      }
      for (let d = 0; d < width; d++) {
        let sum = 0;
        for (let m = 0; m < features; m++) sum += qs[t * features + m]! * state[m * width + d]!;
        out.push(sum);
      }
    }
  }
  return out;
}

type Sums = (q: Tensor, k: Tensor, v: Tensor, decay?: Tensor) => Tensor;
const stepwise: Sums = (q, k, v, decay) => {
  let state = zeros([1, 2, features, width]);
  const rows: Tensor[] = [];
  for (let t = 0; t < q.shape[2]!; t++) {
    const at = (x: Tensor) => slice(x, 2, t, t + 1);
    const { sums, state: next } = stepSums(state, at(q), at(k), at(v), decay && at(decay));
    rows.push(sums);
    state = next;
  }
  return concat(rows, 2);
};
const forms: Record<string, Sums> = {
  parallel: parallelSums,
  chunked: chunkedSums,
  "chunks of 8": (q, k, v, decay) => chunkedSums(q, k, v, decay, 8),
  // So many chunks that their states are summed in groups of groups.
  "chunks of 1": (q, k, v, decay) => chunkedSums(q, k, v, decay, 1),
  stepwise,
};

function expectClose(found: readonly number[], expected: readonly number[], tolerance: number): void {
  const scale = Math.max(...expected.map(Math.abs), 1);
  expect(found.length).toBe(expected.length);
  const off = found.findIndex((x, i) => !(Math.abs(x - expected[i]!) <= tolerance * scale));
  expect(off < 0 ? "close" : `${found[off]} at ${off}, expected ${expected[off]}`).toBe("close");
}

describe.each([false, true])("with decays: %s", (decays) => {
  test.each(Object.keys(forms))("%s gives the recurrence written plainly", async (form) => {
    for (const length of form === "stepwise" ? [1, 7, 20] : [1, 7, 63, 100, 150]) {
      const given = inputs(length);
      const run = (q: Tensor, k: Tensor, v: Tensor, decay: Tensor) => forms[form]!(q, k, v, decays ? decay : undefined);
      const found = await evaluate(run, device, given.q, given.k, given.v, given.decay);
      // Sums of a hundred products, in float32.
      expectClose(found.toNumbers(), plainly(given, decays), 1e-5);
    }
  });

  test.each(["chunked", "chunks of 8", "chunks of 1"])("gradients: %s as parallel", async (form) => {
    const { loss, ...given } = inputs(100);
    const gradientOf = async (sums: Sums) => {
      const value = ({ q, k, v, decay }: Record<"q" | "k" | "v" | "decay", Tensor>, loss: Tensor) =>
        sum(mul(sums(q, k, v, decays ? decay : undefined), loss));
      return (await readTree(await compile(valueAndGrad(value), { device })(given, loss))).gradient;
    };
    const [found, expected] = [await gradientOf(forms[form]!), await gradientOf(parallelSums)];
    for (const name of ["q", "k", "v", "decay"] as const) {
      expectClose(found[name].toNumbers(), expected[name].toNumbers(), 1e-5);
    }
  });
});

test("decays that leave nothing, and their gradients, stay finite", async () => {
  const { loss, ...given } = inputs(100, -3000);
  const value = ({ q, k, v, decay }: Record<"q" | "k" | "v" | "decay", Tensor>, loss: Tensor) =>
    sum(mul(chunkedSums(q, k, v, decay, 8), loss));
  const { value: found, gradient } = await readTree(await compile(valueAndGrad(value), { device })(given, loss));
  const expected = plainly({ ...given, loss }, true).reduce((sum, x, i) => sum + x * loss.toNumbers()[i]!, 0);
  expectClose([found.item()], [expected], 1e-4);
  for (const array of Object.values(gradient)) expect(array.toNumbers().every(Number.isFinite)).toBe(true);
});

test("whole sums see all keys, whatever their number", async () => {
  const [{ q }, { k, v }] = [inputs(5), inputs(8)];
  const found = await evaluate(wholeSums, device, q, k, v);
  const [qs, ks, vs] = [q, k, v].map((array) => array.toNumbers()) as [number[], number[], number[]];
  const expected: number[] = [];
  for (let head = 0; head < 2; head++) {
    for (let t = 0; t < 5; t++) {
      for (let d = 0; d < width; d++) {
        let sum = 0;
        for (let s = 0; s < 8; s++) {
          for (let m = 0; m < features; m++) {
            sum +=
              qs[(head * 5 + t) * features + m]! * ks[(head * 8 + s) * features + m]! * vs[(head * 8 + s) * width + d]!;
          }
        }
        expected.push(sum);
      }
    }
  }
  expectClose(found.toNumbers(), expected, 1e-5);
});
