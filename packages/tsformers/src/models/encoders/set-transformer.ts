import { type Concrete, splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { requireSupport } from "../../attention/core/require-support.ts";
import {
  isab,
  type MabParams,
  type PmaParams,
  paperForm,
  pma,
  publishedForm,
  type SetBlockOptions,
  type SetLayer,
  sab,
} from "../../attention/sets/set-blocks.ts";
import type { StackParams } from "../../depth/layers.ts";
import { blockStack } from "../../depth/stack.ts";
import type { Block } from "../../kinds/index.ts";
import { within } from "../../nn/dropout.ts";
import { embedding } from "../../nn/embedding.ts";
import { linearHead } from "../../nn/head.ts";
import { fanInUniform, normalInitial } from "../../nn/initial.ts";
import type { LinearParams } from "../../nn/linear.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { count } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type EncoderParams, type EncoderParts, encoder } from "../encoder.ts";
import type { LanguageModel, Pool } from "../language-model.ts";
import { type EncoderEntry, modelEntry, type StackSettings, stackOptions } from "../model-entry.ts";

export type SetTransformerOptions = {
  readonly vocabularySize: number;
  /** Blocks of the encoder. */
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** M, inducing points of a block of the encoder; 0: elements look at each other directly. Default: 32. */
  readonly points?: number;
  /** Blocks of the decoder, behind the pooling. Default: 2. */
  readonly decoderLayers?: number;
  /** The blocks as the paper has them, or as the authors' code does. Default: `paper`. */
  readonly form?: "paper" | "published";
  readonly dropoutRate?: number;
};

/**
 * The Set Transformer: an encoder in which elements exchange information without positions, and a decoder that asks the set by learned seeds and
 * lets the answers see each other. What it tells of a set does not depend on the order of the elements, nor on how many there are.
 *
 * encoder: `X ← ISAB_M(X)`, or `SAB(X)`; decoder of k vectors: `PMA_k(X)`, then `SAB` of them
 *
 * @source Lee et al. 2019, "Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks", §3, arXiv:1810.00825
 */
export function setTransformer(options: SetTransformerOptions): LanguageModel<SetTransformerParams> {
  return encoder(setTransformerParts(options));
}

export type SetTransformerParams = EncoderParams<LinearParams, StackParams>;

/** The parts of {@link setTransformer}. */
export function setTransformerParts(options: SetTransformerOptions): EncoderParts<LinearParams, StackParams> {
  const { vocabularySize, layers, modelWidth, heads, points = 32, decoderLayers = 2, dropoutRate = 0 } = options;
  requireSizes("set-transformer", options, { vocabularySize, layers });
  const initial = fanInUniform();
  const form = options.form === "published" ? publishedForm({ initial }) : paperForm({ initial, dropoutRate });
  const sizes: SetBlockOptions = { modelWidth, heads, form, dropoutRate, initial };
  const block = points === 0 ? setBlock(sab(sizes)) : setBlock(isab({ ...sizes, points }));
  return {
    name: "set-transformer",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth, normalInitial(1)),
    depth: blockStack(Array.from({ length: layers }, () => block)),
    head: linearHead(modelWidth, vocabularySize, { bias: true, initial }),
    pool: (vectors) => setDecoder({ ...sizes, vectors, decoderLayers }),
  };
}

/** A block of a stack that lets the elements of a set see each other. */
function setBlock<Params>(layer: SetLayer<Params, [elements: Tensor]>): Block {
  const name = "set";
  const refusals = { scores: "elements of a set have no position", rotation: "elements of a set have no position" };
  return {
    mixer: { name, sees: "all" },
    init: layer.init,
    apply: (params, { x, view }, context) => {
      requireSupport(name, view, refusals);
      return layer.apply(params as Params, x, view.keyMask, context);
    },
  };
}

export type SetDecoderParams = { pool: PmaParams; blocks: MabParams[] };

/**
 * k learned seeds look at a set, and then at each other.
 *
 * @shape x [B, T, C] → [B, k, C]
 * @source Lee et al. 2019, §3.2 and eq. 14
 */
function setDecoder({
  vectors,
  decoderLayers,
  ...sizes
}: SetBlockOptions & { readonly vectors: number; readonly decoderLayers: number }): ReturnType<Pool> {
  const pool = pma({ ...sizes, seeds: vectors });
  const block = sab(sizes);
  return {
    init: (key): Concrete<SetDecoderParams> => {
      const [first, ...others] = splitKey(key, 1 + decoderLayers);
      return { pool: pool.init(first!), blocks: others.map(block.init) };
    },
    apply: (given, x, mask, context) => {
      const params = given as SetDecoderParams;
      const asked = pool.apply(params.pool, x, mask, within(context, "pool")).y;
      return params.blocks.reduce(
        (y, own, i) => block.apply(own, y, undefined, within(context, `pooled ${i}`)).y,
        asked,
      );
    },
  };
}

export type SetTransformerSettings = StackSettings & {
  readonly points?: number;
  readonly decoderLayers?: number;
  readonly form?: "paper" | "published";
};

export const setTransformerEntry: EncoderEntry<"set-transformer", SetTransformerSettings> = /* @__PURE__ */ modelEntry({
  name: "set-transformer",
  title: "Set Transformer",
  year: 2019,
  paper: "Lee et al. 2019, Set Transformer: Attention-based Permutation-Invariant Networks, arXiv:1810.00825",
  summary: "tells something of a set, whatever the order and the number of its elements, through inducing points",
  formula: "X ← MAB(X, MAB(I, X)); Z = SAB(MAB(S, rFF(X))), MAB(X, Y) = LN(H + rFF(H)), H = LN(X + Multihead(X, Y, Y))",
  cost: "O(n·m·d) time, O(n·m) memory",
  category: "encoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      points: count(2 ** 20, "each looks at the whole set", 0)
        .default(32)
        .describe("inducing points of a block; 0: elements look at each other directly"),
      decoderLayers: count(128, "deeper graphs take ONNX Runtime too long to prepare", 0)
        .default(2)
        .describe("blocks behind the pooling"),
      form: z
        .enum(["paper", "published"])
        .default("paper")
        .describe("the block as the paper has it, or as the authors' code does"),
    }),
  make: (settings) => setTransformer(present(settings)),
});
