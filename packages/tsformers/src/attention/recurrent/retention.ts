import { broadcastTo, type Concrete, cast, constant, mul, ndarray, splitKey, type Tensor } from "@tsformers/engine";
import type { Mixer } from "../../kinds/index.ts";
import { glorotUniform } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { inclusiveFrequencies } from "../../position/angles.ts";
import { neighbours, rotary } from "../../position/rotary.ts";
import { present } from "../../schema/present.ts";
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

export type RetentionParams = GatedOutputParams & { query: LinearParams; key: LinearParams; value: LinearParams };

/** Defaults: K = modelWidth / heads, D = 2K. */
export type RetentionOptions = Omit<RecurrentMixerOptions, "initial">;

const refusals = { scores: "it computes no logits", rotation: "it rotates by angles of its own" };

/**
 * Retention, RetNet's mixer: what a head has read decays at a rate of its own.
 *
 * `y_t = Σ_{s≤t} γ^{t−s} (q_t·k_s) v_s`, with `q = R_t x·W_q`, `k = R_t x·W_k/√K`, `v = x·W_v`; `γ_h = 1 − 2^{−5−h}`, and R_t turns
 * neighbouring features by `t·10000^{−i/(K/2 − 1)}`. Each head is then normalised and gated: {@link gatedOutput}.
 *
 * @shape  x [B, T, C] → y [B, T, C]; decode state [B, H, K, D]
 * @cost   O(B·H·T·(W·(K + D) + K·D)) time, O(B·H·T·(W + K·D/W)) memory; 2·C·H·(K + 1.5·D) parameters
 * @source Sun et al. 2023, "Retentive Network: A Successor to Transformer for Large Language Models", §2, arXiv:2307.08621
 * @differs the norm of the heads is root-mean-square without a gain, as in the authors' code; the paper's group norm subtracts the mean, too.
 *   The factors that keep sums in the range of float16 are left out: the norm undoes them, and one of them has no recurrent form
 */
export function retention(options: RetentionOptions): Mixer<RetentionParams> {
  const { modelWidth, heads, chunk, dropoutRate } = options;
  const sizes = recurrentSizes("retention", options, { keyWidth: (width) => width, valueWidth: (width) => 2 * width });
  const { keyWidth, valueWidth } = sizes;
  if (keyWidth % 2 !== 0)
    throw new RangeError(`retention: keys are rotated in pairs of features, so keyWidth must be even, got ${keyWidth}`);
  const initial = glorotUniform(2 ** -2.5);
  const toKeys = linear(modelWidth, heads * keyWidth, { bias: false, initial });
  const toValues = linear(modelWidth, heads * valueWidth, { bias: false, initial });
  const turn = rotary(keyWidth, { pairing: neighbours, frequencies: inclusiveFrequencies(keyWidth / 2) });
  const output = gatedOutput({
    modelWidth,
    ...sizes,
    gain: false,
    dropoutRate,
    gateInitial: initial,
    outInitial: glorotUniform(2 ** -1),
  });
  const logDecay = logDecays(heads);
  return recurrentMixer<RetentionParams>({
    name: "retention",
    refuses: refusals,
    sizes,
    chunk,
    init: (key): Concrete<RetentionParams> => {
      const [q, k, v, o] = splitKey(key, 4);
      return { query: toKeys.init(q!), key: toKeys.init(k!), value: toValues.init(v!), ...output.init(o!) };
    },
    look: ({ query, key, value }, { x, view }) => {
      const { query: at } = view.positions;
      const rotate = turn.prepare({ query: at, key: at });
      const inHeads = (projected: Tensor) => cast(splitHeads(projected, heads), "float32");
      return {
        input: {
          q: rotate.query(inHeads(toKeys.apply(query, x))),
          k: mul(rotate.key(inHeads(toKeys.apply(key, x))), keyWidth ** -0.5),
          v: inHeads(toValues.apply(value, x)),
          logDecay: broadcastTo(constant(logDecay), [1, heads, x.shape[1]!]),
        },
      };
    },
    out: output.apply,
  });
}

/** `log γ_h = log(1 − 2^{−5−h})`, [1, H, 1]. */
const logDecays = (heads: number) =>
  ndarray(
    Float32Array.from({ length: heads }, (_, h) => Math.log1p(-(2 ** (-5 - h)))),
    [1, heads, 1],
  );

export const retentionEntry: MixerEntry<
  "retention",
  Pick<RetentionOptions, "keyWidth" | "valueWidth" | "chunk">
> = /* @__PURE__ */ mixerEntry({
  name: "retention",
  title: "Retention (RetNet)",
  year: 2023,
  paper: "Sun et al. 2023, Retentive Network: A Successor to Transformer for Large Language Models, arXiv:2307.08621",
  summary: "a memory of values by keys, which decays at a fixed rate in each head",
  formula: "S_t = γ_h S_{t−1} + k_t ⊗ v_t, y_t = q_t·S_t, γ_h = 1 − 2^{−5−h}",
  ...aboutRecurrent,
  refuses: refusals,
  options: () => recurrentOptions("model width / heads"),
  make: (settings, { initial: _, ...context }) => retention({ ...context, ...present(settings) }),
});
