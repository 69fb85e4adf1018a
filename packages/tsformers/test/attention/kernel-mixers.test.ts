import {
  type Concrete,
  compile,
  evaluate,
  NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import type { KernelMixerState } from "../../src/attention/kernel/kernel-mixer.ts";
import { type LinearAttentionOptions, linearAttention } from "../../src/attention/kernel/linear-attention.ts";
import { performer } from "../../src/attention/kernel/performer.ts";
import { rfa } from "../../src/attention/kernel/rfa.ts";
import { causal as causalPattern } from "../../src/attention/patterns/pattern.ts";
import type { Mixer, Recurrent } from "../../src/kinds/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { alibi } from "../../src/position/alibi.ts";
import { rotary } from "../../src/position/rotary.ts";

const device = await openCpu();
const [modelWidth, heads, batch, length] = [8, 2, 2, 21];

type Params = { query: unknown };
type AnyMixer = Mixer<Params>;
const shared = { modelWidth, heads, chunk: 8 } as const;
const members: Record<string, (options: Pick<LinearAttentionOptions, "causal"> & { gated?: true }) => AnyMixer> = {
  "linear attention": (options) => linearAttention({ ...shared, ...options }) as unknown as AnyMixer,
  performer: (options) => performer({ ...shared, ...options, features: 6 }) as unknown as AnyMixer,
  rfa: (options) => rfa({ ...shared, ...options, features: 16 }) as unknown as AnyMixer,
};

const x = normal(randomKey(1), [batch, length, modelWidth]);

function expectClose(found: NDArray, expected: NDArray, tolerance: number): void {
  const [a, b] = [found.toNumbers(), expected.toNumbers()];
  expect(a.length).toBe(b.length);
  const off = a.findIndex((x, i) => !(Math.abs(x - b[i]!) <= tolerance * (1 + Math.abs(b[i]!))));
  expect(off < 0 ? "close" : `${a[off]} at ${off}, expected ${b[off]}`).toBe("close");
}

/** Large enough weights for outputs of order 1. */
function initialised(mixer: AnyMixer): Concrete<Params> {
  const scaled = (tree: unknown): unknown => {
    if (tree instanceof NDArray) return tree.shape.length < 2 ? tree : normal(randomKey(tree.size + 7), tree.shape);
    return Object.fromEntries(Object.entries(tree as object).map(([name, part]) => [name, scaled(part)]));
  };
  return scaled(mixer.init(randomKey(2))) as Concrete<Params>;
}

function run(
  mixer: AnyMixer,
  params: Concrete<Params>,
  options: { x?: NDArray; mask?: NDArray; training?: unknown; turned?: true } = {},
) {
  const pass = (params: Params, x: Tensor, rest: { mask?: Tensor; training?: unknown }) => {
    const view = makeView({
      pattern: causalPattern,
      queries: x.shape[1]!,
      keys: x.shape[1]!,
      ...(rest.mask === undefined ? {} : { keyMask: rest.mask }),
      ...(options.turned ? { rotation: rotary(modelWidth / heads) } : {}),
    });
    const state = rest.training === undefined ? {} : { state: { training: rest.training } };
    const { y, map } = mixer.apply(params, { x, view, ...state }, evaluation);
    return { y, weights: map!().weights };
  };
  const rest = {
    ...(options.mask ? { mask: options.mask } : {}),
    ...(options.training ? { training: options.training } : {}),
  };
  return evaluate(pass, device, params, options.x ?? x, rest as { mask?: NDArray });
}

describe.each(Object.keys(members))("%s", (name) => {
  const make = members[name]!;

  test.each([{}, { gated: true }, { turned: true }, { training: true }] as const)(
    "decodes step by step as in one pass, %o",
    async (how) => {
      const mixer = make({ causal: true, ...("gated" in how ? { gated: true } : {}) });
      const params = initialised(mixer);
      const turned = "turned" in how ? { turned: true as const } : {};
      const training = "training" in how ? mixer.initTrainingState?.(randomKey(9)) : undefined;
      const { y } = await run(mixer, params, { ...turned, ...(training ? { training } : {}) });
      const recurrent = mixer.recurrent as unknown as Recurrent<Params, KernelMixerState> & {
        start(batch: number, capacity: number, training?: unknown): Concrete<KernelMixerState>;
      };
      const step = compile(
        (params: Params, x: Tensor, state: KernelMixerState, position: Tensor) => {
          const view = makeView({
            pattern: causalPattern,
            queries: 1,
            keys: length,
            offset: position,
            ...("turned" in how ? { rotation: rotary(modelWidth / heads) } : {}),
          });
          return recurrent.step(params, x, state, { position, view });
        },
        { device },
      );
      let state = recurrent.start(batch, length, training);
      for (let t = 0; t < length; t++) {
        const row = ndarray(pick(x, t), [batch, 1, modelWidth]);
        const out = await readTree(await step(params, row, state, ndarray(t, [], "int32")));
        // Sums in another order; RFA's few features make small denominators, which magnify.
        expectClose(out.y, ndarray(pick(y, t), [batch, 1, modelWidth]), 2e-4);
        state = out.state;
      }
    },
  );

  test.each([true, false])("padding changes nothing, causal: %s", async (causal) => {
    const mixer = make({ causal, ...(causal ? { gated: true } : {}) });
    const params = initialised(mixer);
    const real = Array.from({ length: batch * length }, (_, at) => (at % length < 3 || at % length === 9 ? 0 : 1));
    const mask = ndarray(Float32Array.from(real), [batch, length]);
    const filled = ndarray(
      Float32Array.from(x.toNumbers(), (value, at) => (real[Math.floor(at / modelWidth)] ? value : 30 * value + 5)),
      x.shape,
    );
    const [one, other] = [await run(mixer, params, { mask }), await run(mixer, params, { mask, x: filled })];
    const ofReal = (y: NDArray) =>
      ndarray(Float32Array.from(y.toNumbers().filter((_, at) => real[Math.floor(at / modelWidth)] === 1)));
    expectClose(ofReal(one.y), ofReal(other.y), 1e-5);
    const nothing = await run(mixer, params, { mask: ndarray(new Float32Array(batch * length), [batch, length]) });
    expectClose(nothing.y, ndarray(new Float32Array(x.size), x.shape), 0);
  });

  test("what comes later leaves what came before as it was, to the last bit", async () => {
    const mixer = make({ causal: true });
    const params = initialised(mixer);
    const changed = Float32Array.from(x.toNumbers(), (value, at) =>
      Math.floor(at / modelWidth) % length >= 11 ? 9 - 4 * value : value,
    );
    const [one, other] = [await run(mixer, params), await run(mixer, params, { x: ndarray(changed, x.shape) })];
    for (let t = 0; t < 11; t++) expect(pick(one.y, t)).toEqual(pick(other.y, t));
    expect(pick(one.y, 11)).not.toEqual(pick(other.y, 11));
  });

  test.each([true, false])("the map is what mixes, causal: %s", async (causal) => {
    const mixer = make({ causal });
    const params = initialised(mixer);
    const { weights } = await run(mixer, params);
    const rows = weights.toNumbers();
    for (let at = 0; at < rows.length; at += length) {
      // RFA's weights may be negative; all sum to 1 up to the denominator's own epsilon.
      expect(rows.slice(at, at + length).reduce((a, b) => a + b)).toBeCloseTo(1, 3);
      if (causal) expect(rows.slice(at + ((at / length) % length) + 1, at + length).every((w) => w === 0)).toBe(true);
    }
  });

  test("says no to what it cannot honour", async () => {
    const mixer = make({ causal: true });
    const biased = (params: Params, x: Tensor) => {
      const scheme = alibi(heads);
      const view = makeView({
        pattern: causalPattern,
        queries: length,
        keys: length,
        scores: (at) => scheme.prepare({}, at),
      });
      return mixer.apply(params, { x, view }, evaluation).y;
    };
    await expect(evaluate(biased, device, initialised(mixer), x)).rejects.toThrow(
      /^(linear attention|performer|rfa): cannot take scores/,
    );
    expect(() => make({ causal: false, gated: true })).toThrow(/needs causal/);
  });
});

/** Row t of every sequence. */
function pick(y: NDArray, t: number): Float32Array {
  const numbers = y.toNumbers();
  return Float32Array.from(
    Array.from({ length: batch }, (_, b) =>
      numbers.slice((b * length + t) * modelWidth, (b * length + t + 1) * modelWidth),
    ).flat(),
  );
}
