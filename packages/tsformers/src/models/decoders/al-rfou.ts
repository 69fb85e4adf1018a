import { type Concrete, constant, ndarray, splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { postNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import { auxiliaryLosses } from "../../nn/auxiliary-losses.ts";
import { embedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { linearHead } from "../../nn/head.ts";
import { glorotUniform } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { learnedPerLayer } from "../../position/learned-per-layer.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  fullCost,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";

export type AlRfouOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Positions of the learned tables, one table for each layer. */
  readonly length: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Only the last layer predicts in training, and only the next symbol. Default: every layer does, see {@link alRfou}. */
  readonly plain?: true;
  readonly dropoutRate?: number;
};

export type AlRfouParams = DecoderParams & {
  /** Heads that only training uses: of the next symbol for each layer below the last, and of the one after it for every layer. */
  auxiliary?: { next: readonly LinearParams[]; later: readonly LinearParams[] };
};

/**
 * A deep character model: a stack of Transformer layers, each with a table of positions of its own, that learns because all its layers
 * predict.
 *
 * `u = x_{ℓ−1} + P_ℓ`, `a = norm(u + attention(u))`, `x_ℓ = norm(a + ffn(a))`. In training every layer predicts the next symbol, layer ℓ
 * until the share ℓ/2N of the training is done (loss `layers`), and the symbol after it at half weight (loss `later`), through heads of
 * their own. What is left afterwards is the last layer's prediction of the next symbol.
 *
 * @source Al-Rfou et al. 2019, "Character-Level Language Modeling with Deeper Self-Attention", arXiv:1808.04444
 * @differs the paper does not say how weights are drawn; here as in Tensor2Tensor, uniformly on ±√(6/(in + out))
 */
export function alRfou(options: AlRfouOptions): LanguageModel<AlRfouParams> {
  const { vocabularySize, layers, modelWidth } = options;
  const model: LanguageModel<AlRfouParams> = decoder(alRfouParts(options));
  if (options.plain) return model;
  const toSymbols = linear(modelWidth, vocabularySize, { initial: glorotUniform() });
  return {
    ...model,
    init: (key) => {
      const [own, ...keys] = splitKey(key, 2 * layers);
      const heads = keys.map((key) => toSymbols.init(key));
      const auxiliary = { next: heads.slice(0, layers - 1), later: heads.slice(layers - 1) };
      return { ...model.init(own!), auxiliary } as Concrete<AlRfouParams>;
    },
    trainingLosses: ({ auxiliary }, { hidden }, asked, { progress = constant(ndarray([0], [])) }) => {
      const { next, later } = auxiliary!;
      const heads = [next, later].map((own) => (x: Tensor, layer: number) => toSymbols.apply(own[layer]!, x));
      return auxiliaryLosses({ hidden: hidden.slice(1), heads, ...asked, progress });
    },
  };
}

/** The parts of {@link alRfou} without the heads that only training uses. */
export function alRfouParts(options: AlRfouOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, length, dropoutRate = 0 } = options;
  const { ffnWidth = 4 * modelWidth } = options;
  requireSizes("al-rfou", options, { vocabularySize, layers, length, ffnWidth });
  const initial = glorotUniform();
  const block = postNormBlock({
    modelWidth,
    norm: layerNorm(),
    mixer: attention({ modelWidth, heads, dropoutRate, initial }),
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial }),
  });
  return {
    name: "al-rfou",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth),
    layerPositions: learnedPerLayer(layers, length, modelWidth),
    dropoutRate,
    depth: blockStack(Array.from({ length: layers }, () => block)),
    head: linearHead(modelWidth, vocabularySize, { bias: true, initial }),
  };
}

export type AlRfouSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly plain?: boolean;
};

export const alRfouEntry: DecoderEntry<"al-rfou", AlRfouSettings> = /* @__PURE__ */ modelEntry({
  name: "al-rfou",
  title: "Deep character model",
  year: 2018,
  paper: "Al-Rfou et al. 2018, Character-Level Language Modeling with Deeper Self-Attention, arXiv:1808.04444",
  summary: "a deep stack with positions in every layer, all of whose layers predict while it learns",
  formula: "loss = L_N + Σ_{ℓ<N} [s < ℓ/2N]·L_ℓ + ½ Σ_ℓ [s < ℓ/2N]·L′_ℓ, s = share of the training that is done",
  cost: fullCost,
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      length: lengthOption(),
      ffnWidth: ffnWidthOption(),
      plain: z.boolean().default(false).describe("whether only the last layer predicts, and only the next symbol"),
    }),
  make: ({ plain, ...settings }) => alRfou({ ...present(settings), ...(plain && { plain }) }),
});
