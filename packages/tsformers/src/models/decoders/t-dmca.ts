import * as z from "zod";
import { type MemoryCompressedParams, memoryCompressed } from "../../attention/memory-compressed/memory-compressed.ts";
import { fixedBlock } from "../../attention/patterns/fixed.ts";
import { type AttentionParams, attention } from "../../attention/softmax/attention.ts";
import { preNormBlock } from "../../blocks/block.ts";
import type { StackParams } from "../../depth/layers.ts";
import { blockStack } from "../../depth/stack.ts";
import type { Block, Mixer } from "../../kinds/index.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { sinusoidal } from "../../position/sinusoidal.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import { type DecoderEntry, ffnWidthOption, modelEntry, type StackSettings, stackOptions } from "../model-entry.ts";

export type TDmcaOptions = {
  readonly vocabularySize: number;
  /** Local and compressed attention take turns, local first. */
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Positions in a block of local attention. Default: 256. */
  readonly block?: number;
  /** Positions that become one key and value in compressed attention. Default: 3. */
  readonly factor?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  readonly dropoutRate?: number;
};

const defaults = { block: 256, factor: 3 };

/**
 * T-DMCA, the Transformer decoder with memory-compressed attention: one sequence of a long source, a separator and what is written about it.
 * Layers alternate between attention within the own block of positions (L) and attention to all positions before, three of which a convolution
 * makes one (M): L-M-L-M-L.
 *
 * `x ← x + mix(norm(x))`, `x ← x + mlp(norm(x))`; L: `S_t = {s ≤ t : ⌊s/b⌋ = ⌊t/b⌋}`, M: `x̄_j = Σ_i x_{3j + i}·A_i + a`, `S_t = {x_0, x̄_1, …}` up
 * to t.
 *
 * @cost   O(B·T·b·C) of an L layer, O(B·T²·C / 3) of an M layer
 * @source Liu et al. 2018, "Generating Wikipedia by Summarizing Long Sequences", §4.2, arXiv:1801.10198
 * @differs without the layers of experts that the largest model has
 */
export function tDmca(options: TDmcaOptions): LanguageModel<DecoderParams> {
  return decoder(tDmcaParts(options));
}

/** The parts of {@link tDmca}. */
export function tDmcaParts(options: TDmcaOptions): DecoderParts<StackParams> {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, ffnWidth = 4 * modelWidth } = options;
  const { block, factor } = { ...defaults, ...options };
  requireSizes("t-dmca", options, { vocabularySize, layers, ffnWidth, block, factor });
  const initial = normalInitial(modelWidth ** -0.5);
  const sizes = { modelWidth, heads, dropoutRate, initial };
  const local: Mixer<AttentionParams> = attention(sizes);
  const compressed: Mixer<MemoryCompressedParams> = memoryCompressed({ ...sizes, causal: true, factor });
  const norm = layerNorm();
  const ffn = mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial });
  const blocks = Array.from({ length: layers }, (_, layer) => {
    const mixer = (layer % 2 === 0 ? local : compressed) as Mixer;
    return preNormBlock({ modelWidth, norm, mixer, ffn }) as Block;
  });
  return {
    name: "t-dmca",
    vocabularySize,
    width: modelWidth,
    tokens: scaledEmbedding(embedding(vocabularySize, modelWidth, initial), Math.sqrt(modelWidth)),
    positions: sinusoidal(modelWidth),
    pattern: fixedBlock({ stride: block, causal: true }),
    dropoutRate,
    depth: blockStack(blocks, { finalNorm: norm(modelWidth) }),
  };
}

export type TDmcaSettings = StackSettings & {
  readonly block?: number;
  readonly factor?: number;
  readonly ffnWidth?: number;
};

export const tDmcaEntry: DecoderEntry<"t-dmca", TDmcaSettings> = /* @__PURE__ */ modelEntry({
  name: "t-dmca",
  title: "T-DMCA",
  year: 2018,
  paper: "Liu et al. 2018, Generating Wikipedia by Summarizing Long Sequences, arXiv:1801.10198",
  summary: "a decoder over source, separator and target: layers of local and of memory-compressed attention take turns",
  formula: "L: softmax(q·kᵀ/√d)·v within the own block; M: k̄, v̄ of x̄_j = Σ_{i<c} x_{cj + i}·A_i + a; layers L-M-L-M-L",
  cost: "O(n·b·d + n²·d / c) time, O(n·d) memory",
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      block: positionCount().default(defaults.block).describe("positions in a block of local attention"),
      factor: positionCount()
        .default(defaults.factor)
        .describe("how many positions become one in compressed attention"),
      ffnWidth: ffnWidthOption(),
    }),
  make: (settings) => tDmca(present(settings)),
});
