import {
  broadcastTo,
  type Concrete,
  cast,
  concat,
  constant,
  cumsum,
  equal,
  expandDims,
  fromNumbers,
  iota,
  max,
  minimum,
  mul,
  reshape,
  slice,
  splitKey,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import { makeView } from "../../attention/core/view.ts";
import { type EtcAttentionParams, etcAttention } from "../../attention/etc/etc-attention.ts";
import { etc as etcPattern } from "../../attention/patterns/etc.ts";
import { postNormBlock } from "../../blocks/block.ts";
import type { StackParams } from "../../depth/layers.ts";
import { blockStack } from "../../depth/stack.ts";
import type { Depth, DepthOutput } from "../../kinds/index.ts";
import { embedding } from "../../nn/embedding.ts";
import { gelu, mlp } from "../../nn/feed-forward.ts";
import { normalInitial } from "../../nn/initial.ts";
import { type MaskedHeadParams, maskedHead } from "../../nn/masked-head.ts";
import { layerNorm } from "../../nn/norm.ts";
import { realOf } from "../../nn/real-positions.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { count, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { extentOf, type LanguageModel, type TokenBody, type TokensInput } from "../language-model.ts";
import {
  type EncoderEntry,
  ffnWidthOption,
  initializerRangeOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { requireContent } from "../require-content.ts";
import type { SummaryModel, SummaryOutput } from "../summaries.ts";
import { type TokenFrontParams, tokenFront } from "../token-front.ts";
import { type WithHead, withLogits } from "../with-logits.ts";
import type { BertBlockParams } from "./bert.ts";

export type EtcOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** G, global tokens of a row, one for each segment; further segments share the last. Default: 16. */
  readonly globals?: number;
  /** r: how far long positions see to each side. Default: 84. */
  readonly radius?: number;
  /** k: distances up to this have labels of their own. Default: 12. */
  readonly furthestLabel?: number;
  /** The token that ends a segment. Default: a row is cut into G stretches of equal length, where its input does not tell segments. */
  readonly separator?: number;
  /** Whether a global token sees no long positions but those of its own segment. Default: true. */
  readonly hard?: boolean;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  readonly dropoutRate?: number;
  /** Standard deviation of initial weights; label vectors begin with 0.5. Default: 0.02. */
  readonly initializerRange?: number;
};

type Blocks = StackParams<BertBlockParams<EtcAttentionParams>>;

export type EtcParams = WithHead<TokenFrontParams & Blocks & { globalToken: { weight: Tensor } }, MaskedHeadParams>;

const defaults = { globals: 16, radius: 84, furthestLabel: 12, hard: true };

/**
 * ETC: an encoder with two inputs, the tokens and one global token for each of their segments (sentences, paragraphs). Tokens see their
 * neighbours and all global tokens, global tokens see each other and the tokens of their segment, or all. Where something stands is told by labels
 * of pairs alone: their distance within an input, membership across. Blocks and output layers are BERT's.
 *
 * Segments are told by the input (`types`), by a separator, or are stretches of equal length.
 *
 * @shape  tokens [B, L] → logits [B, L, V], summaries [B, G, C]
 * @cost   O(B·(G·(G + L) + L·(G + 2r + 1))·C) time a layer
 * @source Ainslie et al. 2020, "ETC: Encoding Long and Structured Inputs in Transformers", §3, arXiv:2004.08483
 * @differs both inputs share their projections and feed-forward networks, as where BERT's weights are taken over; global tokens have one learned
 *   vector, whatever their segment
 */
export function etc(options: EtcOptions): EtcModel {
  const { vocabularySize, modelWidth, initializerRange } = options;
  const body = etcBody(options);
  const head = maskedHead({ vocabularySize, modelWidth, initial: normalInitial(initializerRange) });
  const model: LanguageModel<EtcParams> = withLogits(body, head);
  const { globals, separator } = { ...defaults, ...options };
  return {
    ...model,
    globals,
    segmentsOf: (input) => segmentsOf(input, { globals, ...present({ separator }) }),
    // What the body puts out goes on into the output of the model.
    summarise: (params, input, context) => model.apply(params, input, context) as SummaryOutput,
  };
}

export type EtcModel = SummaryModel<EtcParams>;

function etcBody(options: EtcOptions): TokenBody<Omit<EtcParams, "head">> {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, ffnWidth = 4 * modelWidth, separator } = options;
  const { globals, radius, furthestLabel, hard } = { ...defaults, ...options };
  const name = "etc";
  requireSizes(name, options, { vocabularySize, layers, ffnWidth, globals });
  if (separator !== undefined && !(Number.isInteger(separator) && separator >= 0 && separator < vocabularySize))
    throw new RangeError(`etc: separator must be a token, 0 … ${vocabularySize - 1}, got ${separator}`);
  const initial = normalInitial(options.initializerRange);
  const norm = layerNorm({ epsilon: 1e-12 });
  const embeddingNorm = norm(modelWidth);
  const front = tokenFront({ tokens: embedding(vocabularySize, modelWidth, initial), embeddingNorm, dropoutRate });
  const globalToken = embedding(1, modelWidth, initial);
  const ffn = mlp({ modelWidth, ffnWidth, activation: gelu, dropoutRate, initial });
  const stackOver = (segments?: Tensor): Depth<Blocks> => {
    const sizes = { modelWidth, heads, dropoutRate, initial, globals, radius, furthestLabel, hard };
    const mixer = etcAttention({ ...sizes, ...present({ segments }) });
    const block = postNormBlock({ modelWidth, norm, mixer, ffn });
    return blockStack(Array.from({ length: layers }, () => block)) as Depth<Blocks>;
  };
  const stack = stackOver();
  const pattern = etcPattern({ globals, radius });
  return {
    vocabularySize,
    width: modelWidth,
    embeddingWidth: modelWidth,
    causal: false,
    layers: stack.layers,
    patterns: stack.layers.map(() => pattern),
    embeddingOf: ({ tokens }) => tokens,
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      const own = { ...front.init(a!), globalToken: globalToken.init(b!), ...stack.init(c!) };
      return own as Concrete<Omit<EtcParams, "head">>;
    },
    apply: (params, input, context) => {
      requireContent(name, input, modelWidth);
      requireOwnGlobals(input);
      const [batch, length] = extentOf(input);
      const segments = segmentsOf(input, { globals, ...present({ separator }) });
      const { types: _, ...content } = input;
      const long = front.apply(params, { ...content, at: iota(length) }, context);
      const token = embeddingNorm.apply(params.embeddingNorm!, params.globalToken.weight);
      const global = broadcastTo(expandDims(cast(token, long.dtype), 0), [batch, globals, modelWidth]);
      const inUse = segmentsInUse(segments, globals, input.mask);
      const keyMask = concat([inUse, realOf(input.mask, [batch, length])], 1);
      const extent = globals + length;
      const view = makeView({ pattern, queries: extent, keys: extent, keyMask });
      const joint = { x: concat([global, long], 1), view: () => view, state: {} };
      return parted(stackOver(segments).apply(params, joint, context), globals, { segments, summaryMask: inUse });
    },
  };
}

function requireOwnGlobals({ globals, decode, neighbours }: TokensInput): void {
  if (globals !== undefined)
    throw new TypeError("etc: has a global token for each segment; tell segments by `types` instead of globals");
  if (decode !== undefined) throw new TypeError("etc: is not causal, it cannot go on position by position");
  if (neighbours !== undefined) throw new TypeError("etc: reads no neighbours; spalm does");
}

/** The segment of each position, int32 [B, L], of 0 … G − 1. */
function segmentsOf(
  input: TokensInput,
  { globals, separator }: { readonly globals: number; readonly separator?: number },
): Tensor {
  const { tokens, types } = input;
  const [batch, length] = extentOf(input);
  if (types !== undefined) return minimum(types, globals - 1);
  if (separator === undefined) {
    const each = Math.ceil(length / globals);
    const row = Array.from({ length }, (_, t) => Math.floor(t / each));
    return broadcastTo(constant(fromNumbers(row, [1, length], "int32")), [batch, length]);
  }
  if (tokens === undefined)
    throw new TypeError("etc: vectors have no separators; expected `types`, the segment of each position");
  return minimum(cumsum(cast(equal(tokens, separator), "int32"), 1, { exclusive: true }), globals - 1);
}

/** 1 for global tokens whose segment has a real position, float32 [B, G]. */
function segmentsInUse(segments: Tensor, globals: number, mask: Tensor | undefined): Tensor {
  const isOwn = cast(equal(reshape(iota(globals), [1, globals, 1]), expandDims(segments, 1)), "float32");
  return max(mul(isOwn, expandDims(realOf(mask, segments.shape), 1)), { axes: 2 });
}

/** The output at long positions, and the states of the global tokens beside it. */
function parted(
  out: DepthOutput,
  globals: number,
  beside: Pick<SummaryOutput, "segments" | "summaryMask">,
): DepthOutput {
  const long = (x: Tensor): Tensor => slice(x, 1, globals);
  const { ffnInput } = out;
  const summaries = slice(out.x, 1, 0, globals);
  const all = { ...out, ...beside, summaries, x: long(out.x), hidden: out.hidden.map(long) };
  return { ...all, ...(ffnInput !== undefined && { ffnInput: () => long(ffnInput()) }) };
}

export type EtcSettings = StackSettings &
  Pick<EtcOptions, "globals" | "radius" | "furthestLabel" | "separator" | "hard" | "ffnWidth" | "initializerRange">;

export const etcEntry: EncoderEntry<"etc", EtcSettings> = /* @__PURE__ */ modelEntry({
  name: "etc",
  title: "ETC",
  year: 2020,
  paper: "Ainslie et al. 2020, ETC: Encoding Long and Structured Inputs in Transformers, arXiv:2004.08483",
  summary: "tokens that see their neighbours, and a global token for each of their segments",
  formula:
    "softmax((q_i·k_j + q_i·P[id_ij] + b[id_ij])/√D)·v_j, token i: j ∈ G or |i − j| ≤ r; global i: j ∈ G or of its segment",
  cost: "O(n·(r + g)·d) time, O(n·d) memory",
  category: "encoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption(),
      globals: positionCount()
        .default(defaults.globals)
        .describe("global tokens of a row, one for each segment; further segments share the last"),
      radius: positionCount(0).default(defaults.radius).describe("how far tokens see to each side"),
      furthestLabel: positionCount(0)
        .default(defaults.furthestLabel)
        .describe("distances up to this have labels of their own; 0: no labels"),
      separator: count(2 ** 31 - 1, "tokens are counted in 32 bits", 0)
        .optional()
        .describe("the token that ends a segment. Default: segments of equal length"),
      hard: z
        .boolean()
        .default(defaults.hard)
        .describe("a global token sees the tokens of its own segment only, and the other global tokens"),
      initializerRange: initializerRangeOption(),
    }),
  make: (settings) => etc(present(settings)),
});
