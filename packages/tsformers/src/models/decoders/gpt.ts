import * as z from "zod";
import type { AttentionParams } from "../../attention/softmax/attention.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { type BlockParams, preNormBlock } from "../../blocks/block.ts";
import type { DepthMaker } from "../../depth/depth-entry.ts";
import type { StackParams } from "../../depth/layers.ts";
import { stacked } from "../../depth/stack.ts";
import type { Block, Depth, LayerPatterns, Mixer, Pattern, PositionScheme } from "../../kinds/index.ts";
import { embedding } from "../../nn/embedding.ts";
import { type Activation, geluTanh, type MlpParams, mlp } from "../../nn/feed-forward.ts";
import { normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { learned } from "../../position/learned.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  everyPart,
  ffnWidthOption,
  fullCost,
  initializerRangeOption,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { requireMixer } from "../sights.ts";

export type GptOptions<Mix = AttentionParams> = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  /** H, heads of the default softmax attention. */
  readonly heads: number;
  /** Positions of the learned embedding. */
  readonly length: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: tanh GELU. */
  readonly activation?: Activation;
  /** Factor of the logits of softmax attention by layer; not allowed with a mixer. Default: 1/√headWidth. */
  readonly scale?: (layer: number) => number;
  /** Dropout of embeddings, softmax attention and feed-forward networks; a mixer has its own. Default: 0. */
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  /** Standard deviation of initial weights, but for those of given parts. Default: 0.02. */
  readonly initializerRange?: number;
  /** Default: learned positions. */
  readonly scheme?: PositionScheme;
  /** The pattern of all layers, or one per layer; its causal part is used. Default: everything before. */
  readonly pattern?: Pattern | LayerPatterns;
  /** How positions exchange information in each layer; must be causal. Default: softmax attention. */
  readonly mixer?: (layer: number) => Mixer<Mix>;
  /** How the blocks follow one another. Default: {@link stacked}. */
  readonly depth?: DepthMaker;
};

export type GptBlockParams<Mix = AttentionParams> = BlockParams<Mix, MlpParams>;

export type GptParams<Mix = AttentionParams> = DecoderParams<StackParams<GptBlockParams<Mix>>>;

/**
 * GPT-2: a pre-norm decoder with learned positions, tanh GELU and tied embeddings.
 *
 * Initial residual projections are divided by √(2N), so that the scale of the residual stream does not grow with depth.
 *
 * @source Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"
 */
export function gpt<Mix = AttentionParams>(options: GptOptions<Mix>): LanguageModel<GptParams<Mix>> {
  return decoder(gptParts(options));
}

/** The parts of {@link gpt}. */
export function gptParts<Mix = AttentionParams>(
  options: GptOptions<Mix>,
): DecoderParts<StackParams<GptBlockParams<Mix>>> {
  const { vocabularySize, layers, modelWidth, heads, length, dropoutRate = 0, epsilon = 1e-5 } = options;
  const { ffnWidth = 4 * modelWidth, activation = geluTanh, scale = () => (modelWidth / heads) ** -0.5 } = options;
  const { initializerRange = 0.02 } = options;
  requireSizes("gpt", options, { vocabularySize, layers, length, ffnWidth });
  if (options.mixer !== undefined && options.scale !== undefined) {
    throw new TypeError("gpt: scale belongs to softmax attention and a mixer has its own: give only one of the two");
  }
  const softmax = (layer: number) =>
    attention({ modelWidth, heads, scale: scale(layer), dropoutRate, initial, outInitial });
  const mixer = (layer: number): Mixer<Mix> => {
    if (options.mixer === undefined) return softmax(layer) as Mixer<unknown> as Mixer<Mix>;
    const given = options.mixer(layer);
    requireMixer("gpt", layer, given);
    return given;
  };
  const norm = layerNorm({ epsilon });
  const initial = normalInitial(initializerRange);
  const outInitial = normalInitial(initializerRange / Math.sqrt(2 * layers));
  const ffn = mlp({ modelWidth, ffnWidth, activation, dropoutRate, initial, outInitial });
  const { arrange = preNormBlock, make } = options.depth ?? stacked;
  const blocks = Array.from({ length: layers }, (_, layer) => arrange({ modelWidth, norm, mixer: mixer(layer), ffn }));
  return {
    name: "gpt",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth, initial),
    ...(options.scheme ?? { positions: learned(length, modelWidth, initial) }),
    ...present({ pattern: options.pattern }),
    dropoutRate,
    depth: make(blocks as readonly Block[], { finalNorm: norm(modelWidth), modelWidth }) as Depth<
      StackParams<GptBlockParams<Mix>>
    >,
  };
}

export type GptSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly initializerRange?: number;
};

export const gptEntry: DecoderEntry<"gpt", GptSettings> = /* @__PURE__ */ modelEntry({
  name: "gpt",
  title: "GPT-2",
  year: 2019,
  paper: "Radford et al. 2019, Language Models are Unsupervised Multitask Learners",
  summary: "pre-norm decoder; takes any mixer, pattern, position scheme and depth",
  formula: "x ← x + attention(norm(x)); x ← x + mlp(norm(x))",
  cost: fullCost,
  parts: everyPart,
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      length: lengthOption(),
      ffnWidth: ffnWidthOption(),
      initializerRange: initializerRangeOption(),
    }),
  make: (settings, parts) => gpt({ ...present(settings), ...parts }),
});
