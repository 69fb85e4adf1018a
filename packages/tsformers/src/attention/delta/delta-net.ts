import type { Tensor } from "@tsformers/engine";
import * as t from "@tsformers/engine";
import * as z from "zod";
import type { Mixer, Recurrent, View } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import { silu } from "../../nn/feed-forward.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type HeadProjectionOptions, headProjections, oneSequence, realAt } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { seen } from "../kernel/kernel-sums.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import type { AttentionParams } from "../softmax/attention.ts";

export type DeltaNetParams = AttentionParams & { strength: LinearParams };

/** `chunk`: positions W that are computed at once. Default: 32. */
export type DeltaNetOptions = HeadProjectionOptions & { readonly chunk?: number };

const refusals = { scores: "it computes no logits" };

/**
 * DeltaNet: a memory of values by keys in which each position corrects what its key finds, instead of adding to it.
 *
 * `q, k = unit(silu(x·W))`, `v = x·W_v`, `β = σ(x·w_β)`, and {@link deltaRule}.
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
  const look = (params: DeltaNetParams, x: Tensor, view: View, real: Tensor | undefined): DeltaInput => {
    requireSupport("delta-net", view, refusals);
    const address = (own: LinearParams) => unitLength(t.cast(silu(toHeads(own, x)), "float32"));
    const [q, k, v] = [address(params.query), address(params.key), t.cast(toHeads(params.value, x), "float32")];
    const strength = t.sigmoid(t.cast(t.transpose(toStrength.apply(params.strength, x), [0, 2, 1]), "float32"));
    const beta = real === undefined ? strength : t.mul(strength, t.expandDims(real, 1));
    return { q: view.rotate?.query(q) ?? q, k: view.rotate?.key(k) ?? k, v: view.rotate?.value?.(v) ?? v, beta };
  };
  const recurrent: Recurrent<DeltaNetParams, Tensor> = {
    start: (batch) => t.full([batch, heads, headWidth, headWidth], 0),
    step: (params, x, state, { position, view }) => {
      const next = deltaRule(look(params, x, view, realAt(view.keyMask, position)), state);
      return { y: fromHeads(params.out, t.cast(next.mixed, x.dtype), evaluation), state: next.state };
    },
  };
  return {
    name: "delta-net",
    sees: "earlier",
    init: (key): t.Concrete<DeltaNetParams> => {
      const [q, k, v, o, b] = t.splitKey(key, 5);
      const into = { query: initHeads(q!), key: initHeads(k!), value: initHeads(v!) };
      return { ...into, out: initOut(o!), strength: toStrength.init(b!) };
    },
    apply: (params, input, context) => {
      oneSequence("delta-net", input);
      const { x, view } = input;
      const own = look(params, x, view, view.keyMask && t.cast(view.keyMask, "float32"));
      const { mixed } = deltaRule(own, undefined, chunk);
      return { y: fromHeads(params.out, t.cast(mixed, x.dtype), context), map: () => ({ weights: weightsOf(own) }) };
    },
    recurrent: recurrent as Recurrent<DeltaNetParams, never>,
  };
}

/** Queries and keys [B, H, T, K], values [B, H, T, D], the share of an error that is corrected, [B, H, T]. */
export type DeltaInput = { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor; readonly beta: Tensor };

/**
 * `S_t = S_{t−1} + β_t k_t ⊗ (v_t − k_t·S_{t−1})`, `y_t = q_t·S_t`, W positions at once: with A what is below the diagonal of
 * `diag(β)·K·Kᵀ`, they write `U = (I + A)⁻¹ diag(β) (V − K·S)`; then `Y = Q·S + tril(Q·Kᵀ)·U` and `S ← S + Kᵀ·U`.
 *
 * @shape  state [B, H, K, D], zeros by default → mixed [B, H, T, D], state [B, H, K, D]
 */
export function deltaRule({ q, k, v, beta }: DeltaInput, state?: Tensor, chunk = 32): { mixed: Tensor; state: Tensor } {
  const [batch, heads, length, keyWidth] = q.shape as [number, number, number, number];
  const start = state ?? t.zeros([batch, heads, keyWidth, v.shape[3]!]);
  const width = Math.min(chunk, length);
  const missing = Math.ceil(length / width) * width - length;
  // [N, B, H, W, ·], filled up with zeros, which write nothing.
  const [queries, keys, values, betas] = [q, k, v, t.expandDims(beta, -1)].map((x) => {
    const filled = t.concat([x, t.zeros([batch, heads, missing, x.shape[3]!])], 2);
    return t.transpose(t.reshape(filled, [batch, heads, -1, width, x.shape[3]!]), [2, 0, 1, 3, 4]);
  }) as [Tensor, Tensor, Tensor, Tensor];
  const step = (before: Tensor, { q, k, v, beta }: DeltaInput) => {
    const written = t.matmul(corrections(k, beta), t.sub(v, t.matmul(k, before)));
    const mixed = t.add(t.matmul(q, before), t.matmul(products(q, k), written));
    return [t.add(before, t.matmul(k, written, { transposeA: true })), mixed] as const;
  };
  const [last, mixed] = t.scan(step, start, { q: queries, k: keys, v: values, beta: betas });
  const joined = t.reshape(t.transpose(mixed, [1, 2, 0, 3, 4]), [batch, heads, -1, v.shape[3]!]);
  return { mixed: t.slice(joined, 2, 0, length), state: last };
}

/** `(I + A)⁻¹ diag(β)`, [..., W, W], from k [..., W, K] and β [..., W, 1]: blocks of 1, 2, 4, … on the diagonal are joined two by two. */
function corrections(k: Tensor, beta: Tensor): Tensor {
  const [width, below] = [k.shape.at(-2)!, products(t.mul(k, beta), k)];
  const inBlocks = (size: number): Tensor =>
    t.cast(t.equal(t.div(t.iota([width, width], 0), size), t.div(t.iota([width, width], 1), size)), "float32");
  let inverse = inBlocks(1);
  for (let size = 1; size < width; size *= 2) {
    const between = t.mul(below, t.sub(inBlocks(2 * size), inBlocks(size)));
    inverse = t.sub(inverse, t.matmul(t.matmul(inverse, between), inverse));
  }
  return t.mul(inverse, t.reshape(beta, [...beta.shape.slice(0, -2), 1, width]));
}

/** How much of each value is in each position's result, [B, H, T, T]. */
function weightsOf({ q, k, beta }: DeltaInput): Tensor {
  return t.matmul(products(q, k), corrections(k, t.expandDims(beta, -1)));
}

/** `tril(Q·Kᵀ)`, [..., T, T]. */
const products = (q: Tensor, k: Tensor): Tensor => t.mul(t.matmul(q, k, { transposeB: true }), seen(q.shape.at(-2)!));

/** x / √(Σ x² + ε): a zero vector stays zero. */
const unitLength = (x: Tensor, epsilon = 1e-6): Tensor =>
  t.div(x, t.sqrt(t.add(t.sum(t.mul(x, x), { axes: -1, keepDims: true }), epsilon)));

export const deltaNetEntry: MixerEntry<"delta-net", Pick<DeltaNetOptions, "chunk">> = /* @__PURE__ */ mixerEntry({
  name: "delta-net",
  title: "DeltaNet",
  year: 2024,
  paper: "Yang et al. 2024, Parallelizing Linear Transformers with the Delta Rule, arXiv:2406.06484",
  summary: "a memory of values by keys, in which each position corrects what its key finds",
  formula: "S_t = S_{t−1} + β_t k_t ⊗ (v_t − k_t·S_{t−1}), y_t = q_t·S_t",
  cost: "O(n·(w + d/h)·d) time, O(n·(w + d²/(h·w))) memory",
  exponent: 1,
  directions: ["causal"],
  refuses: refusals,
  averages: false,
  decodeState: "stays the same",
  options: () => z.strictObject({ chunk: positionCount().default(32).describe("positions that are computed at once") }),
  make: (settings, context) => deltaNet({ ...context, ...settings }),
  proof: {
    fixture: "delta_rule",
    run: ({ q, k, v, beta, initial_state }, { scale, l2_normalise, l2_eps }) => {
      const unit = (name: string, x: Tensor) =>
        (l2_normalise as string[]).includes(name) ? unitLength(x, l2_eps as number) : x;
      const own = { q: t.mul(unit("q", q!), scale as number), k: unit("k", k!), v: v!, beta: beta! };
      const { mixed, state } = deltaRule(own, initial_state);
      const found = products(q!, k!);
      return { out: mixed, final_state: state, latest: t.argmax(t.mul(found, t.iota(found.shape, -1, "float32")), -1) };
    },
  },
});
