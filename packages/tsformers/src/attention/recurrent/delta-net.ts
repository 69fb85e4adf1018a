import type { Concrete, Tensor } from "@tsformers/engine";
import * as t from "@tsformers/engine";
import * as z from "zod";
import type { Mixer } from "../../kinds/index.ts";
import { silu } from "../../nn/feed-forward.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { present } from "../../schema/present.ts";
import { type HeadProjectionOptions, headProjections } from "../core/head-projections.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import type { AttentionParams } from "../softmax/attention.ts";
import { linearRecurrence, recurrenceWeights } from "./linear-recurrence.ts";
import { aboutRecurrent, chunkOption, recurrentMixer } from "./recurrent-mixer.ts";

export type DeltaNetParams = AttentionParams & { strength: LinearParams };

/** `chunk`: positions W that are computed at once, rounded up to a power of two. Default: 32. */
export type DeltaNetOptions = HeadProjectionOptions & { readonly chunk?: number };

const refusals = { scores: "it computes no logits" };

/**
 * DeltaNet: a memory of values by keys in which each position corrects what its key finds, instead of adding to it.
 *
 * `S_t = S_{t−1} + β_t k_t ⊗ (v_t − k_t·S_{t−1})`, `y_t = q_t·S_t`, with `q, k = unit(silu(x·W))`, `v = x·W_v`, `β = σ(x·w_β)`.
 *
 * @shape  x [B, T, C] → y [B, T, C]; decode state [B, H, D, D]
 * @cost   O(B·H·T·(W + D)·D) time, O(B·H·T·(W + D²/W)) memory
 * @source Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence Length", arXiv:2406.06484
 * @differs no short convolutions and no norm of the output
 */
export function deltaNet(options: DeltaNetOptions): Mixer<DeltaNetParams> {
  const { modelWidth, heads, chunk, initial } = options;
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections("delta-net", options);
  const toStrength = linear(modelWidth, heads, present({ initial }));
  return recurrentMixer<DeltaNetParams>({
    name: "delta-net",
    refuses: refusals,
    sizes: { heads, keyWidth: headWidth, valueWidth: headWidth },
    chunk,
    init: (key): Concrete<DeltaNetParams> => {
      const [q, k, v, o, b] = t.splitKey(key, 5);
      const into = { query: initHeads(q!), key: initHeads(k!), value: initHeads(v!) };
      return { ...into, out: initOut(o!), strength: toStrength.init(b!) };
    },
    look: (params, { x, view: { rotate } }) => {
      const address = (own: LinearParams) => unitLength(t.cast(silu(toHeads(own, x)), "float32"));
      const [q, k, v] = [address(params.query), address(params.key), t.cast(toHeads(params.value, x), "float32")];
      const beta = t.sigmoid(t.cast(t.transpose(toStrength.apply(params.strength, x), [0, 2, 1]), "float32"));
      return { input: { q: rotate?.query(q) ?? q, k: rotate?.key(k) ?? k, v: rotate?.value?.(v) ?? v, beta } };
    },
    out: ({ out }, mixed, _, context) => fromHeads(out, mixed, context),
  });
}

/** `x / √(Σ x² + ε)`: a zero vector stays zero. */
export function unitLength(x: Tensor, epsilon = 1e-6): Tensor {
  return t.div(x, t.sqrt(t.add(t.sum(t.mul(x, x), { axes: -1, keepDims: true }), epsilon)));
}

export const deltaNetEntry: MixerEntry<"delta-net", Pick<DeltaNetOptions, "chunk">> = /* @__PURE__ */ mixerEntry({
  name: "delta-net",
  title: "DeltaNet",
  year: 2024,
  paper: "Yang et al. 2024, Parallelizing Linear Transformers with the Delta Rule, arXiv:2406.06484",
  summary: "a memory of values by keys, in which each position corrects what its key finds",
  formula: "S_t = S_{t−1} + β_t k_t ⊗ (v_t − k_t·S_{t−1}), y_t = q_t·S_t",
  ...aboutRecurrent,
  refuses: refusals,
  options: () => z.strictObject({ chunk: chunkOption() }),
  make: (settings, context) => deltaNet({ ...context, ...settings }),
  proof: {
    fixture: "delta_rule",
    run: ({ q, k, v, beta, initial_state }, { scale, l2_normalise, l2_eps }) => {
      const unit = (name: string, x: Tensor) =>
        (l2_normalise as string[]).includes(name) ? unitLength(x, l2_eps as number) : x;
      const own = { q: t.mul(unit("q", q!), scale as number), k: unit("k", k!), v: v!, beta: beta! };
      const { mixed, state } = linearRecurrence(own, { chunk: 8, ...present({ state: initial_state }) });
      return { out: mixed, final_state: state, latest: t.argmax(recurrenceWeights(own), -1) };
    },
  },
});
