import {
  add,
  broadcastTo,
  type Concrete,
  cast,
  concat,
  exp,
  expandDims,
  mul,
  type NDArray,
  ndarray,
  neg,
  type RandomKey,
  reshape,
  sigmoid,
  slice,
  splitKey,
  type Tensor,
  transpose,
  uniform,
} from "@tsformers/engine";
import type { Mixer } from "../../kinds/index.ts";
import { type CausalConvolutionParams, causalConvolution } from "../../nn/causal-convolution.ts";
import { silu } from "../../nn/feed-forward.ts";
import { normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { requireCounts } from "../../nn/sizes.ts";
import { present } from "../../schema/present.ts";
import { logSigmoid } from "../kernel/kernel-attention.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { splitHeads } from "../softmax/attention.ts";
import { unitLength } from "./delta-net.ts";
import { type GatedOutputParams, gatedOutput } from "./gated-output.ts";
import {
  aboutRecurrent,
  type RecurrentMixerOptions,
  recurrentMixer,
  recurrentOptions,
  recurrentSizes,
} from "./recurrent-mixer.ts";

export type GatedDeltaNetParams = GatedOutputParams & {
  query: LinearParams;
  key: LinearParams;
  value: LinearParams;
  /** Of queries, keys and values, one behind the other. */
  convolution: CausalConvolutionParams;
  strength: LinearParams;
  decay: { step: LinearParams; logRate: Tensor; stepBias: Tensor };
};

/** Defaults: K = ¾·modelWidth / heads, D = 2K. */
export type GatedDeltaNetOptions = RecurrentMixerOptions & {
  /** Heads of queries and keys, each shared by heads / keyHeads heads of values. Default: `heads`. */
  readonly keyHeads?: number;
  /** Of the norm of each head. Default: 1e-5. */
  readonly epsilon?: number;
};

const refusals = {
  scores: "it computes no logits",
  rotation: "its keys have a width of their own, and its convolutions and decays tell positions apart",
};

/** Positions that a convolution looks at. */
const convolved = 4;

/**
 * Gated DeltaNet: a memory of values by keys, which decays at a rate that the input sets and in which each position then corrects what its
 * key finds.
 *
 * `S' = α_t S_{t−1}`, `S_t = S' + β_t k_t ⊗ (v_t − k_t·S')`, `y_t = q_t·S_t/√K`, where `q, k = unit(silu(conv(x·W)))`, `v = silu(conv(x·W_v))`,
 * `β = σ(x·w_β)`, and α is {@link logDecays}'. Each head is then normalised and gated: {@link gatedOutput}.
 *
 * @shape  x [B, T, C] → y [B, T, C]; decode state [B, H, K, D], and the last 3 positions of what is convolved [B, 3, 2·G·K + H·D]
 * @cost   O(B·H·T·(W·(K + D) + K·D)) time, O(B·H·T·(W + K·D/W)) memory; with G heads of keys
 *   2·C·(G·K + 1.5·H·D) + 4·(2·G·K + H·D) + 2·(C + 1)·H + D parameters
 * @source Yang et al. 2024, "Gated Delta Networks: Improving Mamba2 with Delta Rule", arXiv:2412.06464
 * @differs matrices start as the rest of the model, since the paper does not say how
 */
export function gatedDeltaNet(options: GatedDeltaNetOptions): Mixer<GatedDeltaNetParams> {
  const name = "gated-delta-net";
  const { modelWidth, heads, keyHeads = heads, chunk, dropoutRate, epsilon, initial = normalInitial() } = options;
  const sizes = recurrentSizes(name, options, {
    keyWidth: (headWidth) => 0.75 * headWidth,
    valueWidth: (keyWidth) => 2 * keyWidth,
  });
  requireCounts(name, { keyHeads });
  if (heads % keyHeads !== 0)
    throw new RangeError(`${name}: heads must be a multiple of keyHeads, got heads ${heads} and keyHeads ${keyHeads}`);
  const [keys, values] = [keyHeads * sizes.keyWidth, heads * sizes.valueWidth];
  const toKeys = linear(modelWidth, keys, { bias: false, initial });
  const toValues = linear(modelWidth, values, { bias: false, initial });
  const toHeads = linear(modelWidth, heads, { bias: false, initial });
  const convolution = causalConvolution(2 * keys + values, convolved, { bias: false });
  const output = gatedOutput({
    modelWidth,
    ...sizes,
    gain: true,
    epsilon,
    dropoutRate,
    gateInitial: initial,
    outInitial: initial,
  });
  return recurrentMixer<GatedDeltaNetParams>({
    name,
    refuses: refusals,
    sizes,
    chunk,
    recent: [convolved - 1, 2 * keys + values],
    init: (key): Concrete<GatedDeltaNetParams> => {
      const [q, k, v, o, c, b, a, r, s] = splitKey(key, 9);
      return {
        query: toKeys.init(q!),
        key: toKeys.init(k!),
        value: toValues.init(v!),
        convolution: convolution.init(c!),
        strength: toHeads.init(b!),
        decay: { step: toHeads.init(a!), logRate: initialRates(r!, heads), stepBias: initialSteps(s!, heads) },
        ...output.init(o!),
      };
    },
    look: (params, { x, real, recent }) => {
      const shown = real === undefined ? x : mul(x, cast(expandDims(real, -1), x.dtype));
      const projected = [
        toKeys.apply(params.query, shown),
        toKeys.apply(params.key, shown),
        toValues.apply(params.value, shown),
      ];
      const { y, after } = convolution.apply(params.convolution, concat(projected, -1), recent);
      const inHeads = (from: number, to: number, count: number) =>
        cast(splitHeads(slice(silu(y), -1, from, to), count), "float32");
      const [q, k] = [inHeads(0, keys, keyHeads), inHeads(keys, 2 * keys, keyHeads)];
      const perHead = (own: LinearParams) => cast(transpose(toHeads.apply(own, x), [0, 2, 1]), "float32");
      return {
        input: {
          q: shared(mul(unitLength(q), sizes.keyWidth ** -0.5), heads),
          k: shared(unitLength(k), heads),
          v: inHeads(2 * keys, 2 * keys + values, heads),
          beta: sigmoid(perHead(params.strength)),
          logDecay: logDecays(perHead(params.decay.step), params.decay),
        },
        recent: after,
      };
    },
    out: output.apply,
  });
}

/** Each head as often as heads of values share it: [B, G, T, K] → [B, H, T, K]. */
function shared(x: Tensor, heads: number): Tensor {
  const [batch, groups, length, width] = x.shape as [number, number, number, number];
  if (groups === heads) return x;
  const each = broadcastTo(expandDims(x, 2), [batch, groups, heads / groups, length, width]);
  return reshape(each, [batch, heads, length, width]);
}

/**
 * `log α = −e^A · softplus(a + b)`, with a rate A and a step bias b for each head.
 *
 * @shape  a [B, H, T]; A, b [H] → [B, H, T]
 */
export function logDecays(a: Tensor, { logRate, stepBias }: { logRate: Tensor; stepBias: Tensor }): Tensor {
  const [rate, bias] = [logRate, stepBias].map((x) => cast(expandDims(x, -1), a.dtype)) as [Tensor, Tensor];
  const step = neg(logSigmoid(neg(add(a, bias))));
  return neg(mul(step, exp(rate)));
}

/** Rates e^A uniform on 0 … 16, as logarithms, [H]. */
function initialRates(key: RandomKey, heads: number): NDArray {
  return mapped(uniform(key, [heads], { low: 1e-3, high: 16 }), Math.log);
}

/** Steps softplus(b) from 0.001 to 0.1, uniform in their logarithms, as b, [H]. */
function initialSteps(key: RandomKey, heads: number): NDArray {
  return mapped(uniform(key, [heads], { low: Math.log(1e-3), high: Math.log(0.1) }), (logStep) =>
    Math.log(Math.expm1(Math.exp(logStep))),
  );
}

const mapped = (array: NDArray, of: (x: number) => number): NDArray =>
  ndarray(Float32Array.from(array.toNumbers(), of), array.shape);

export const gatedDeltaNetEntry: MixerEntry<
  "gated-delta-net",
  Pick<GatedDeltaNetOptions, "keyWidth" | "valueWidth" | "chunk">
> = /* @__PURE__ */ mixerEntry({
  name: "gated-delta-net",
  title: "Gated DeltaNet",
  year: 2024,
  paper: "Yang et al. 2024, Gated Delta Networks: Improving Mamba2 with Delta Rule, arXiv:2412.06464",
  summary: "a memory of values by keys that forgets, and in which each position corrects what its key finds",
  formula: "S' = α_t S_{t−1}, S_t = S' + β_t k_t ⊗ (v_t − k_t·S'), y_t = q_t·S_t/√K",
  ...aboutRecurrent,
  refuses: refusals,
  options: () => recurrentOptions("¾ of model width / heads"),
  make: (settings, context) => gatedDeltaNet({ ...context, ...present(settings) }),
});
