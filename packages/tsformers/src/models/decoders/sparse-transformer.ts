import { normal } from "@tsformers/engine";
import * as z from "zod";
import { perHead } from "../../attention/patterns/combine.ts";
import { fixedBlock, fixedHeads, fixedLayers, fixedSummary } from "../../attention/patterns/fixed.ts";
import { type HalvesUse, halvesOption } from "../../attention/patterns/pattern-entry.ts";
import { strided, stridedHeads, stridedLayers } from "../../attention/patterns/strided.ts";
import { rootOf } from "../../attention/patterns/usual-sizes.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { type BlockParts, preNormBlock } from "../../blocks/block.ts";
import type { DepthMaker } from "../../depth/depth-entry.ts";
import type { StackParams } from "../../depth/layers.ts";
import { stacked } from "../../depth/stack.ts";
import type { Block, Depth, LayerPatterns, Pattern } from "../../kinds/index.ts";
import { embedding } from "../../nn/embedding.ts";
import { mlp, quickGelu } from "../../nn/feed-forward.ts";
import { linearHead } from "../../nn/head.ts";
import { type Initial, normalInitial, zerosInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { axial } from "../../position/axial.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";

export type SparseTransformerOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** The most positions; they fill a grid of `stride` columns row by row. */
  readonly length: number;
  /** Strided for what has rows, such as pictures and music; fixed for text. */
  readonly factors:
    | { readonly kind: "strided" }
    | { readonly kind: "fixed" /** c, summary positions of a block. */; readonly summary: number };
  /** l: for pictures their width. */
  readonly stride: number;
  /**
   * Where the two factors go: into layers in turn, both into every head, or into heads in turn. Both in every head of the fixed pattern, heads have summary
   * positions of their own. Default: layers.
   */
  readonly use?: HalvesUse;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  readonly dropoutRate?: number;
  /** Default: a stack; the paper's is recomputed. */
  readonly depth?: DepthMaker;
};

/**
 * The Sparse Transformer: a deep pre-norm decoder whose attention is factorised, so that two layers, or two heads, connect all positions at n√n pairs.
 *
 * `A1_i`: the last l positions, or the own block; `A2_i`: every l-th position, or c summary positions of all blocks. `x = token + row + column`; GELU is
 * `x·σ(1.702·x)`; projections back to the residual stream begin divided by √(2N), the output matrix as 0.
 *
 * @source Child et al. 2019, "Generating Long Sequences with Sparse Transformers", §4 and §5, arXiv:1904.10509
 * @differs dropout of attention weights, too, not of residual branches alone; weights of queries and keys have full width
 */
export function sparseTransformer(options: SparseTransformerOptions): LanguageModel<DecoderParams> {
  return decoder(sparseTransformerParts(options));
}

/** The parts of {@link sparseTransformer}. */
export function sparseTransformerParts(options: SparseTransformerOptions): DecoderParts<StackParams> {
  const { vocabularySize, layers, modelWidth, heads, length, stride, dropoutRate = 0 } = options;
  const { ffnWidth = 4 * modelWidth, depth = stacked } = options;
  requireSizes("sparse-transformer", options, { vocabularySize, layers, length, stride, ffnWidth });
  const outInitial = byInputs(0.125 / Math.sqrt(2 * layers));
  const norm = layerNorm();
  const parts: BlockParts<unknown, unknown> = {
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads, dropoutRate, initial: byInputs(0.125), outInitial }),
    ffn: mlp({ modelWidth, ffnWidth, activation: quickGelu, dropoutRate, initial: byInputs(0.125), outInitial }),
  };
  const { arrange = preNormBlock } = depth;
  const block: Block = arrange(parts);
  const grid = [Math.ceil(length / stride), stride] as const;
  // Two vectors are added for each position.
  const ofPositions = normalInitial(0.125 / Math.sqrt(2 * modelWidth));
  return {
    name: "sparse-transformer",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth, normalInitial(0.125 * modelWidth ** -0.5)),
    positions: axial({ grid, widths: modelWidth, initial: ofPositions }),
    pattern: factorised(options),
    dropoutRate,
    depth: depth.make(new Array<Block>(layers).fill(block), {
      finalNorm: norm(modelWidth),
      modelWidth,
    }) as Depth<StackParams>,
    head: linearHead(modelWidth, vocabularySize, { initial: zerosInitial }),
  };
}

/** What each layer sees. */
function factorised({ factors, stride, heads, use = "layers" }: SparseTransformerOptions): Pattern | LayerPatterns {
  const causal = { stride, causal: true } as const;
  if (factors.kind === "strided") {
    if (use === "layers") return stridedLayers(causal);
    return use === "merged" ? strided(causal) : stridedHeads(causal);
  }
  const fixed = { ...causal, summary: factors.summary };
  if (use === "layers") return fixedLayers(fixed);
  if (use === "heads") return perHead([fixedBlock(fixed), fixedSummary(fixed)]);
  return fixedHeads({ ...fixed, places: Math.min(heads, Math.floor(stride / factors.summary)) });
}

/** Normal with `scale`/√inputs. */
function byInputs(scale: number): Initial {
  return (key, shape) => normal(key, shape, { deviation: scale * shape[0]! ** -0.5 });
}

export type SparseTransformerSettings = StackSettings & {
  readonly length?: number;
  readonly factors?: "strided" | "fixed";
  readonly stride?: number;
  readonly summary?: number;
  readonly use?: HalvesUse;
  readonly ffnWidth?: number;
};

export const sparseTransformerEntry: DecoderEntry<"sparse-transformer", SparseTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "sparse-transformer",
    title: "Sparse Transformer",
    year: 2019,
    paper: "Child et al. 2019, Generating Long Sequences with Sparse Transformers, arXiv:1904.10509",
    summary: "a deep decoder with factorised attention: strided for pictures and music, fixed for text",
    formula:
      "A1_i = {j : i − l < j ≤ i}, A2_i = {j : (i − j) mod l = 0}; or the own block, and c positions of all blocks",
    cost: "O(n·√n·d) time, O(n·d) memory",
    parts: ["depth"],
    category: "decoder",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        length: lengthOption(),
        factors: z
          .enum(["strided", "fixed"])
          .default("strided")
          .describe("strided sees the last l positions and every l-th, fixed its block and summary positions of all"),
        stride: positionCount()
          .optional()
          .describe("l: for pictures their width times channels. Default: the root of the length"),
        summary: positionCount()
          .optional()
          .describe("c, summary positions of a block, with fixed. Default: l/8, at least 1"),
        use: halvesOption("layers"),
        ffnWidth: ffnWidthOption(),
      }),
    make: ({ factors = "strided", summary, layers = 4, modelWidth = 256, heads = 4, length = 128, ...rest }, parts) => {
      if (factors === "strided" && summary !== undefined)
        throw new RangeError("sparse-transformer: summary does nothing with strided factors; leave it out");
      const stride = rest.stride ?? rootOf(length);
      return sparseTransformer({
        ...present(rest),
        layers,
        modelWidth,
        heads,
        length,
        stride,
        factors:
          factors === "strided"
            ? { kind: factors }
            : { kind: factors, summary: summary ?? Math.max(1, Math.floor(stride / 8)) },
        ...present({ depth: parts.depth }),
      });
    },
  });
