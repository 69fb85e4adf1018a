import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { preNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import type { Block } from "../../kinds/index.ts";
import { knnMemory } from "../../memory/knn-memory.ts";
import { segmentMemory } from "../../memory/segment-memory.ts";
import { embedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { glorotUniform, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { causalBuckets, t5Bias } from "../../position/t5-bias.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import { type DecoderEntry, ffnWidthOption, modelEntry, type StackSettings, stackOptions } from "../model-entry.ts";

export type MemorizingTransformerOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** M: positions of earlier segments that local attention sees, in every layer. */
  readonly memoryLength: number;
  /** What one layer looks up. Absent: the same model without it, from which one with a memory can start: scale and gate are new. */
  readonly lookup?: {
    /** E: positions whose keys and values the layer keeps. */
    readonly entries: number;
    /** k: of how many of them a query and head takes the values. Default: 32. */
    readonly neighbours?: number;
    /** Of the layer's logits, see `knnMemory`. Default: 1. */
    readonly initialScale?: number;
    /** The layer, the first one being 0. Default: three quarters up, the 9th of 12. */
    readonly layer?: number;
  };
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

const defaults = { neighbours: 32 };

/**
 * Memorizing Transformer: a decoder with Transformer-XL's caches and T5's position bias, one layer of which also looks up the keys most
 * like each query among those of a whole document, far beyond what gradients reach.
 *
 * See `knnMemory` for that layer. The others remember their inputs of the last M positions and tell positions by distance.
 *
 * @source Wu et al. 2022, "Memorizing Transformers", arXiv:2203.08913
 * @differs layers without the memory keep their inputs instead of keys and values, so that their projections learn from the cache, too;
 *   one table of position biases for all layers; logits by the token embedding; initial weights by Glorot and Bengio's rule, since the
 *   paper does not tell them
 * @throws RangeError when the memory has fewer entries than neighbours, or than `memoryLength`, or its layer is none
 */
export function memorizingTransformer(options: MemorizingTransformerOptions): LanguageModel<DecoderParams> {
  return decoder(memorizingTransformerParts(options));
}

/** The parts of which {@link memorizingTransformer} is put together. */
export function memorizingTransformerParts(options: MemorizingTransformerOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, memoryLength, dropoutRate = 0, epsilon = 1e-5 } = options;
  const { ffnWidth = 4 * modelWidth, lookup } = options;
  requireSizes("memorizing-transformer", options, { vocabularySize, layers, ffnWidth, memoryLength });
  const norm = layerNorm({ epsilon });
  const initial = glorotUniform();
  const ffn = mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial });
  const projections = { modelWidth, heads, bias: false, dropoutRate, initial };
  const plain = preNormBlock({
    modelWidth,
    norm,
    mixer: segmentMemory(attention(projections), { length: memoryLength, modelWidth }),
    ffn,
  }) as Block;
  const blocks = Array.from({ length: layers }, () => plain);
  const addedParams: string[] = [];
  if (lookup !== undefined) {
    const { entries, neighbours = defaults.neighbours, initialScale, layer = Math.ceil((3 * layers) / 4) - 1 } = lookup;
    if (!(Number.isInteger(layer) && layer >= 0 && layer < layers))
      throw new RangeError(`memorizing-transformer: layer must be one of 0 … ${layers - 1}, got ${layer}`);
    const mixer = knnMemory({ ...projections, memoryLength, entries, neighbours, ...present({ initialScale }) });
    blocks[layer] = preNormBlock({ modelWidth, norm, mixer, ffn }) as Block;
    addedParams.push(`blocks.${layer}.mixer.scale`, `blocks.${layer}.mixer.gate`);
  }
  return {
    name: "memorizing-transformer",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth, normalInitial(modelWidth ** -0.5)),
    scores: t5Bias(heads, causalBuckets()),
    dropoutRate,
    addedParams,
    depth: blockStack(blocks, { finalNorm: norm(modelWidth) }),
  };
}

export type MemorizingTransformerSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly memoryLength?: number;
  readonly memoryEntries?: number;
  readonly memoryNeighbours?: number;
  readonly memoryScale?: number;
};

export const memorizingTransformerEntry: DecoderEntry<"memorizing-transformer", MemorizingTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "memorizing-transformer",
    title: "Memorizing Transformer",
    year: 2022,
    paper: "Wu, Rabe, Hutchins & Szegedy 2022, Memorizing Transformers, arXiv:2203.08913",
    summary: "one layer looks up the keys most like its queries among those of a whole document",
    formula: "y = (1 − g)·attention(near) + g·softmax(s·q·k_N)·v_N, N = top-k of the memory, g = σ(b_h)",
    cost: "O(n·(n + m + e)·d) time, O((n + m + e)·d) memory, m = memoryLength, e = memoryEntries",
    serves: ["segments", "next", "labelled", "matched", "tagged", "reconstructed", "points", "quantities", "masked"],
    category: "decoder",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        ffnWidth: ffnWidthOption(),
        memoryLength: positionCount().default(128).describe("positions of earlier segments that local attention sees"),
        memoryEntries: positionCount(0)
          .default(2048)
          .describe("positions of earlier segments that one layer looks up; 0: none, the same model without a memory"),
        memoryNeighbours: positionCount()
          .default(defaults.neighbours)
          .describe("how many of them each query and head takes the values of"),
        memoryScale: z
          .number()
          .positive()
          .default(1)
          .describe(
            "scale of the logits of that layer at the beginning; small models learn sooner from a larger one, such as 8",
          ),
      }),
    make: ({ memoryEntries: entries, memoryNeighbours: neighbours, memoryScale: initialScale, ...settings }) =>
      memorizingTransformer({
        ...present(settings),
        ...(entries > 0 && { lookup: { entries, neighbours, initialScale } }),
      }),
  });
