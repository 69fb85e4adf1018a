import { type Concrete, cast, mul, splitKey, type Tensor } from "@tsformers/engine";
import type { Mixer } from "../../kinds/index.ts";
import { glorotUniform } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { present } from "../../schema/present.ts";
import { logSigmoid } from "../kernel/kernel-attention.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { splitHeads } from "../softmax/attention.ts";
import { type GatedOutputParams, gatedOutput } from "./gated-output.ts";
import {
  aboutRecurrent,
  type RecurrentMixerOptions,
  recurrentMixer,
  recurrentOptions,
  recurrentSizes,
} from "./recurrent-mixer.ts";

/** `decay`: the two matrices of the gate of the memory, through 16 features. */
export type GatedLinearAttentionParams = GatedOutputParams & {
  query: LinearParams;
  key: LinearParams;
  value: LinearParams;
  decay: { in: LinearParams; out: LinearParams };
};

/** Defaults: K = modelWidth / (2·heads), D = 2K. */
export type GatedLinearAttentionOptions = Omit<RecurrentMixerOptions, "initial">;

const refusals = {
  scores: "it computes no logits",
  rotation: "its memory decays feature by feature, and rotation mixes features",
};

/** Features that a decay is computed through, and what its logarithm is divided by, so that memories begin by lasting. */
const [rank, temperature] = [16, 16];

/**
 * Gated linear attention (GLA): each feature of the keys forgets at a rate that the input sets anew at each position.
 *
 * `S_t = diag(α_t)·S_{t−1} + k_t ⊗ v_t`, `y_t = q_t·S_t/√K`, `α = σ(x·W₁·W₂ + b)^{1/16}`. Each head is then normalised and gated:
 * {@link gatedOutput}.
 *
 * @shape  x [B, T, C] → y [B, T, C]; decode state [B, H, K, D]
 * @cost   O(B·H·T·(W·(K + D) + K·D)) time and O(B·H·T·K·log W) exponentials, O(B·H·T·(W + K·D/W)) memory; 2·C·H·(K + 1.5·D) + 16·(C + H·K) +
 *   H·K + D parameters
 * @source Yang et al. 2023, "Gated Linear Attention Transformers with Hardware-Efficient Training", §4, arXiv:2312.06635
 * @differs the norm of the heads is root-mean-square, and its gate has no bias, as in the authors' code
 */
export function gatedLinearAttention(options: GatedLinearAttentionOptions): Mixer<GatedLinearAttentionParams> {
  const name = "gated-linear-attention";
  const { modelWidth, heads, chunk, dropoutRate } = options;
  const sizes = recurrentSizes(name, options, {
    keyWidth: (headWidth) => headWidth / 2,
    valueWidth: (keyWidth) => 2 * keyWidth,
  });
  const { keyWidth, valueWidth } = sizes;
  const initial = glorotUniform(2 ** -2.5);
  const toKeys = linear(modelWidth, heads * keyWidth, { bias: false, initial });
  const toValues = linear(modelWidth, heads * valueWidth, { bias: false, initial });
  const toRank = linear(modelWidth, rank, { bias: false, initial });
  const toDecay = linear(rank, heads * keyWidth, { initial });
  const output = gatedOutput({
    modelWidth,
    ...sizes,
    gain: true,
    dropoutRate,
    gateInitial: initial,
    outInitial: glorotUniform(2 ** -1),
  });
  return recurrentMixer<GatedLinearAttentionParams>({
    name,
    refuses: refusals,
    sizes,
    chunk,
    init: (key): Concrete<GatedLinearAttentionParams> => {
      const [q, k, v, o, r, d] = splitKey(key, 6);
      return {
        query: toKeys.init(q!),
        key: toKeys.init(k!),
        value: toValues.init(v!),
        decay: { in: toRank.init(r!), out: toDecay.init(d!) },
        ...output.init(o!),
      };
    },
    look: ({ query, key, value, decay }, { x }) => {
      const inHeads = (projected: Tensor) => cast(splitHeads(projected, heads), "float32");
      const logits = inHeads(toDecay.apply(decay.out, toRank.apply(decay.in, x)));
      return {
        input: {
          q: mul(inHeads(toKeys.apply(query, x)), keyWidth ** -0.5),
          k: inHeads(toKeys.apply(key, x)),
          v: inHeads(toValues.apply(value, x)),
          logDecay: mul(logSigmoid(logits), 1 / temperature),
        },
      };
    },
    out: output.apply,
  });
}

export const gatedLinearAttentionEntry: MixerEntry<
  "gated-linear-attention",
  Pick<GatedLinearAttentionOptions, "keyWidth" | "valueWidth" | "chunk">
> = /* @__PURE__ */ mixerEntry({
  name: "gated-linear-attention",
  title: "Gated linear attention (GLA)",
  year: 2023,
  paper: "Yang et al. 2023, Gated Linear Attention Transformers with Hardware-Efficient Training, arXiv:2312.06635",
  summary: "a memory of values by keys, in which the input sets how much of each feature is forgotten",
  formula: "S_t = diag(α_t)·S_{t−1} + k_t ⊗ v_t, y_t = q_t·S_t/√K, α = σ(x·W₁·W₂ + b)^(1/16)",
  ...aboutRecurrent,
  refuses: refusals,
  options: () => recurrentOptions("half of model width / heads"),
  make: (settings, { initial: _, ...context }) => gatedLinearAttention({ ...context, ...present(settings) }),
});
