import { evaluate, isNdArray, mapTree, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import {
  gatedDeltaNet,
  gatedDeltaNetEntry,
  gatedLinearAttention,
  gatedLinearAttentionEntry,
  retention,
  retentionEntry,
} from "../../src/attention/index.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import type { Mixer } from "../../src/kinds/index.ts";
import { countParameters } from "../../src/run/count-parameters.ts";
import { inputs, louder, rowsOf, sizes } from "./mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const { modelWidth, heads } = sizes;
const own = { modelWidth, heads };
const context = { ...sizes, causal: true };

type Numbers = readonly number[];
type Params = NDArray & { readonly [name: string]: Params };

/** x·W + b */
function linear({ weight, bias }: Params, x: Numbers): number[] {
  const [matrix, wide] = [weight!.toNumbers(), weight!.shape[1]!];
  const start = bias?.toNumbers() ?? new Array<number>(wide).fill(0);
  return start.map((b, to) => x.reduce((sum, value, from) => sum + value * matrix[from * wide + to]!, b));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: number): number => x * sigmoid(x);
const dot = (a: Numbers, b: Numbers): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const headOf = (x: Numbers, head: number): Numbers =>
  x.slice((head * x.length) / heads, ((head + 1) * x.length) / heads);
const unit = (x: Numbers): number[] => x.map((value) => value / Math.sqrt(dot(x, x) + 1e-6));

/** What a head reads, asks and forgets at a position. */
type Read = { q: Numbers; k: Numbers; v: Numbers; decay: (feature: number) => number; beta?: number };

/** A layer as its paper has it, position by position in float64: a memory for each head, its norm, the gate, the output. */
function layer(params: Params, x: readonly Numbers[], read: (t: number, head: number) => Read): number[][] {
  const memories: number[][][] = [];
  return x.map((row, t) => {
    const gate = linear(params.gate!, row).map(silu);
    const mixed = Array.from({ length: heads }, (_, head) => {
      const { q, k, v, decay, beta } = read(t, head);
      memories[head] ??= k.map(() => v.map(() => 0));
      const memory = memories[head].map((values, feature) => values.map((value) => value * decay(feature)));
      const found = v.map((_, d) =>
        dot(
          k,
          memory.map((values) => values[d]!),
        ),
      );
      const written = v.map((value, d) => (beta === undefined ? value : beta * (value - found[d]!)));
      memories[head] = memory.map((values, feature) => values.map((value, d) => value + k[feature]! * written[d]!));
      const y = v.map((_, d) =>
        dot(
          q,
          memories[head]!.map((values) => values[d]!),
        ),
      );
      const size = Math.sqrt(dot(y, y) / y.length + 1e-5);
      const gain = params.gain?.toNumbers();
      return y.map((value, d) => (value / size) * (gain?.[d] ?? 1));
    });
    return linear(
      params.out!,
      mixed.flat().map((value, i) => value * gate[i]!),
    );
  });
}

/** Pairs of neighbours turned by t·10000^(−i/(K/2 − 1)). */
function turned(x: Numbers, t: number): number[] {
  const pairs = x.length / 2;
  return Array.from({ length: pairs }, (_, i) => {
    const angle = t * 10_000 ** (-i / (pairs - 1));
    const [a, b] = [x[2 * i]!, x[2 * i + 1]!];
    return [a * Math.cos(angle) - b * Math.sin(angle), a * Math.sin(angle) + b * Math.cos(angle)];
  }).flat();
}

const definitions: Record<string, (params: Params, x: readonly Numbers[]) => number[][]> = {
  retention: (params, x) => {
    const [query, key, value] = [params.query!, params.key!, params.value!];
    return layer(params, x, (t, head) => ({
      q: turned(headOf(linear(query, x[t]!), head), t),
      k: turned(headOf(linear(key, x[t]!), head), t).map((of) => of / Math.sqrt(8)),
      v: headOf(linear(value, x[t]!), head),
      decay: () => 1 - 2 ** (-5 - head),
    }));
  },
  "gated-linear-attention": (params, x) => {
    const [query, key, value, decay] = [params.query!, params.key!, params.value!, params.decay!];
    return layer(params, x, (t, head) => {
      const logits = headOf(linear(decay.out!, linear(decay.in!, x[t]!)), head);
      return {
        q: headOf(linear(query, x[t]!), head).map((of) => of / Math.sqrt(4)),
        k: headOf(linear(key, x[t]!), head),
        v: headOf(linear(value, x[t]!), head),
        decay: (feature) => sigmoid(logits[feature]!) ** (1 / 16),
      };
    });
  },
  "gated-delta-net": (params, x) => {
    const [query, key, value] = [params.query!, params.key!, params.value!];
    const projected = x.map((row) => [...linear(query, row), ...linear(key, row), ...linear(value, row)]);
    const kernel = params.convolution!.weight!.toNumbers();
    const convolved = projected.map((row, t) =>
      row.map((_, c) =>
        silu(
          [3, 2, 1, 0].reduce(
            (sum, back) => sum + (projected[t - back]?.[c] ?? 0) * kernel[(3 - back) * row.length + c]!,
            0,
          ),
        ),
      ),
    );
    const [strength, decay] = [params.strength!, params.decay!];
    const [rates, biases] = [decay.logRate!.toNumbers(), decay.stepBias!.toNumbers()];
    const keys = query.weight!.shape[1]!;
    const ofKey = (x: Numbers, head: number) =>
      x.slice(6 * Math.floor((head * keys) / (6 * heads)), 6 * Math.floor((head * keys) / (6 * heads)) + 6);
    return layer(params, x, (t, head) => {
      const step = Math.log1p(Math.exp(linear(decay.step!, x[t]!)[head]! + biases[head]!));
      return {
        q: unit(ofKey(convolved[t]!, head)).map((of) => of / Math.sqrt(6)),
        k: unit(ofKey(convolved[t]!.slice(keys), head)),
        v: headOf(convolved[t]!.slice(2 * keys), head),
        decay: () => Math.exp(-Math.exp(rates[head]!) * step),
        beta: sigmoid(linear(strength, x[t]!)[head]!),
      };
    });
  },
};

const members: Record<string, Mixer> = {
  retention: retention(own),
  "gated-linear-attention": gatedLinearAttention(own),
  "gated-delta-net": gatedDeltaNet(own),
  "gated-delta-net with shared keys": gatedDeltaNet({ ...own, keyHeads: 1 }),
};
const memberOf = (name: string) => name.replace(" with shared keys", "");

describe.each(Object.entries(members))("%s", (name, mixer) => {
  test.each([1, 2, 13, 40])("%i positions are as the paper's layer has them", async (count) => {
    const params = mapTree(mixer.init(randomKey(5)), isNdArray, (array, path) => louder(array, path));
    const x = inputs(count, 2);
    const run = (params: unknown, x: Tensor) => {
      const view = makeView({ pattern: causal, queries: count, keys: count });
      return mixer.apply(params, { x, view }, {}).y;
    };
    const found = rowsOf((await evaluate(run, device, params as never, x)) as unknown as NDArray)[0]!;
    const expected = definitions[memberOf(name)]!(params as Params, rowsOf(x)[0]!);
    // The norm of a head makes rounding in small sums larger.
    for (const [t, row] of expected.entries())
      for (const [c, value] of row.entries())
        expect(Math.abs(found[t]![c]! - value), `${t}, ${c}`).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
  });

  test("has the parameters of its formula", () => {
    const member = memberOf(name);
    const [keys, values] = { retention: [8, 16], "gated-linear-attention": [4, 8], "gated-delta-net": [6, 12] }[
      member
    ]!;
    const ofKeys = keys! * (name === member ? heads : 1);
    const matrices = 2 * modelWidth * (ofKeys + 1.5 * heads * values!);
    const further = {
      retention: 0,
      "gated-linear-attention": 16 * (modelWidth + heads * keys!) + heads * keys! + values!,
      "gated-delta-net": 4 * (2 * ofKeys + heads * values!) + 2 * (modelWidth + 1) * heads + values!,
    }[member]!;
    expect(countParameters(mixer.init(randomKey(0)))).toBe(matrices + further);
  });

  test("keeps a memory of the same size for rows of any length", () => {
    const [few, many] = [8, 1000].map((capacity) => mixer.recurrent!.start(2, capacity) as { memory: NDArray });
    expect(many!.memory.shape).toEqual(few!.memory.shape);
  });
});

describe("initial values", () => {
  const expectWithin = (weight: NDArray, gain: number): void => {
    const greatest = weight.toNumbers().reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const limit = gain * Math.sqrt(6 / (weight.shape[0]! + weight.shape[1]!));
    expect(greatest).toBeLessThanOrEqual(limit);
    expect(greatest).toBeGreaterThan(0.9 * limit);
  };

  test.each(["retention", "gated-linear-attention"])("of %s are Glorot and Bengio's, made smaller", (name) => {
    const { decay, out, ...params } = members[name]!.init(randomKey(1)) as unknown as Params;
    const inner = [params.query, params.key, params.value, params.gate, decay?.in, decay?.out].flatMap(
      (part) => part?.weight ?? [],
    );
    expect(inner.length).toBe(name === "retention" ? 4 : 6);
    for (const weight of inner) expectWithin(weight, 2 ** -2.5);
    expectWithin(out!.weight!, 2 ** -1);
  });

  test("of gated DeltaNet: rates up to 16, steps from 0.001 to 0.1", () => {
    const wide = gatedDeltaNet({ modelWidth: 256, heads: 256 }).init(randomKey(2));
    const rates = wide.decay.logRate.toNumbers().map(Math.exp);
    const steps = wide.decay.stepBias.toNumbers().map((bias) => Math.log1p(Math.exp(bias)));
    expect(Math.max(...rates)).toBeLessThanOrEqual(16);
    expect(rates.reduce((a, b) => a + b) / 256).toBeCloseTo(8, 0);
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(0.999e-3);
    expect(Math.max(...steps)).toBeLessThanOrEqual(0.1001);
    expect(Math.abs(steps.filter((step) => step < 0.01).length - 128)).toBeLessThan(30); // of 256, their deviation being 8
  });
});

describe("what does not fit is refused in a line", () => {
  test.each<[string, () => unknown, string]>([
    [
      "an odd width",
      () => retention({ ...own, keyWidth: 5 }),
      "retention: keys are rotated in pairs of features, so keyWidth must be even, got 5",
    ],
    [
      "no features",
      () => gatedLinearAttention({ ...own, keyWidth: 0 }),
      "gated-linear-attention: keyWidth must be a whole number of at least 1, got 0",
    ],
    [
      "half a feature",
      () => gatedDeltaNet({ ...own, valueWidth: 1.5 }),
      "gated-delta-net: valueWidth must be a whole number of at least 1, got 1.5",
    ],
    [
      "no positions at once",
      () => gatedDeltaNet({ ...own, chunk: 0 }),
      "gated-delta-net: chunk must be a whole number of at least 1, got 0",
    ],
    [
      "heads that do not divide",
      () => retention({ modelWidth: 24, heads: 5 }),
      "retention: modelWidth must be a multiple of heads, got modelWidth 24 and heads 5",
    ],
    [
      "an encoder",
      () => retentionEntry.make({}, { ...context, causal: false }),
      "retention: is causal only, not bidirectional",
    ],
    [
      "an encoder of GLA",
      () => gatedLinearAttentionEntry.make({}, { ...context, causal: false }),
      "gated-linear-attention: is causal only, not bidirectional",
    ],
    [
      "keys that values cannot share",
      () => gatedDeltaNet({ ...own, keyHeads: 2 }),
      "gated-delta-net: heads must be a multiple of keyHeads, got heads 3 and keyHeads 2",
    ],
    ["an unknown option", () => gatedDeltaNetEntry.make({ keyWdth: 4 } as never, context), "keyWdth"],
  ])("%s", (_, make, message) => {
    expect(make).toThrow(message);
  });
});
