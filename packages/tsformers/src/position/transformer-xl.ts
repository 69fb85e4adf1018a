import {
  add,
  broadcastTo,
  type Concrete,
  cast,
  constant,
  expandDims,
  fromNumbers,
  matmul,
  splitKey,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import { ofHeads } from "../attention/core/by-distance.ts";
import { groupedProduct } from "../attention/core/query-block.ts";
import type { ScoreMod } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { headWidthOf, requireEvenWidth } from "../nn/sizes.ts";
import { positionCount } from "../schema/count.ts";
import { present } from "../schema/present.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";
import { productsByDistance } from "./shaw.ts";
import { concatenated, sinusoidal } from "./sinusoidal.ts";

/** u and v of the paper, [H, D] each. */
export type XlBiases = { content: Tensor; distance: Tensor };

export type TransformerXlParams = {
  /** One shared by all layers, or one per layer. */
  biases: readonly XlBiases[];
  /** W_R of each layer, [H, C, D]. */
  distances: readonly Tensor[];
};

/** One layer's parameters prepared for a pass: keys of distances [H, N, D], from the largest distance back to the one furthest ahead. */
export type XlLayer = XlBiases & { readonly keys: Tensor; readonly low: number };

export type TransformerXlOptions = {
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  readonly headWidth?: number;
  /** Larger distances, on either side, count as this one. Default: no limit. */
  readonly maxDistance?: number;
  /** Every layer has its own u and v. Default: they are shared. */
  readonly untied?: boolean;
  /** Whether keys may come after the query. Default: false; such keys then count as distance 0. */
  readonly bidirectional?: boolean;
  readonly initial?: Initial;
};

const defaults = { untied: false };

/**
 * Attention by distance added to attention by content: each distance has a key made from a sinusoid, and each of the two kinds of key
 * has a learned bias in place of the query's own position.
 *
 * `logits[b,h,t,s] = scale·((q_t + u_h)·k_s + (q_t + v_h)·W_R R_{t−s})`, with `R_d = [sin(d·ω), cos(d·ω)]`.
 *
 * Sinusoids are defined for negative distances as well, so bidirectional use needs only their projections. Those are computed
 * once per layer and pass, not for each block of queries.
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]
 * @cost   O(n·C² + B·H·T·(T + S)·D) time a layer; C² parameters a layer, and 2·C
 * @source Dai et al. 2019, "Transformer-XL", §3.3, arXiv:1901.02860; ahead: Yang et al. 2019, "XLNet", arXiv:1906.08237
 * @differs no dropout of the sinusoids; `maxDistance` is `clamp_len` of the authors' code
 */
export function transformerXlScores(options: TransformerXlOptions): ScoreMod<TransformerXlParams, XlLayer> {
  const {
    layers,
    modelWidth,
    heads,
    untied = defaults.untied,
    bidirectional = false,
    initial = normalInitial(),
  } = options;
  const { maxDistance = Number.POSITIVE_INFINITY } = options;
  requireEvenWidth("transformer-xl", modelWidth);
  const headWidth = headWidthOf("transformer-xl", options);
  const waves = sinusoidal(modelWidth, { layout: concatenated });
  return {
    init: (key) => {
      const [forBiases, forDistances] = splitKey(key, 2);
      const biases = splitKey(forBiases!, untied ? layers : 1).map((own) => {
        const [content, distance] = splitKey(own, 2);
        return { content: initial(content!, [heads, headWidth]), distance: initial(distance!, [heads, headWidth]) };
      });
      const distances = splitKey(forDistances!, layers).map((own) => initial(own, [heads, modelWidth, headWidth]));
      return { biases, distances } as Concrete<TransformerXlParams>;
    },
    forLayer: ({ biases, distances }, layer, pass) => {
      const [own, weight] = [biases[untied ? layer : 0], distances[layer]];
      if (own === undefined || weight === undefined) {
        throw new RangeError(`transformerXl: made for ${layers} layers, got layer ${layer}`);
      }
      const far = Math.min(Math.max(pass.queries, pass.keys) - 1, maxDistance);
      // The sinusoids of query − key.
      const behind = Array.from({ length: far + 1 + (bidirectional ? far : 0) }, (_, i) => far - i);
      const vectors = waves.apply({}, constant(fromNumbers(behind, [behind.length], "int32")));
      // By heads from the start: ONNX Runtime 1.30 crashes on float16 products of tensors transposed across heads.
      return { ...own, keys: matmul(cast(vectors, weight.dtype), weight), low: -far };
    },
    prepare: ({ content, distance, keys, low }, positions) => {
      const [u, v] = [content, distance].map((x) => expandDims(ofHeads(x, positions), 1)) as [Tensor, Tensor];
      return {
        logits: (logits, { query, key, scale }) => {
          const placed = productsByDistance(add(query, v), keys, low, { positions, scale });
          const each = broadcastTo(u, [key.shape[0]!, ...u.shape]);
          const known = groupedProduct(each, key, { transposeB: true, scale });
          return add(add(logits, cast(placed, logits.dtype)), cast(known, logits.dtype));
        },
      };
    },
  };
}

export type TransformerXlSettings = { readonly maxDistance?: number; readonly untied?: boolean };

export const transformerXlEntry: PositionEntry<"transformer-xl", TransformerXlSettings> = /* @__PURE__ */ positionEntry(
  {
    name: "transformer-xl",
    title: "Transformer-XL's relative positions",
    year: 2019,
    paper: "Dai et al. 2019, Transformer-XL: Attentive Language Models beyond a Fixed-Length Context, arXiv:1901.02860",
    category: "scores",
    summary: "keys made of sinusoids of the distance, and two biases in place of the query's position",
    formula: "logits = ((q_t + u)·k_s + (q_t + v)·W_R R_{t−s})/√D",
    cost: "C² parameters a layer and 2·C; O(n·C² + B·H·T·(T + S)·D) a layer",
    beyond: "defined: sinusoids of longer distances",
    options: () =>
      z.strictObject({
        maxDistance: positionCount()
          .optional()
          .describe("distances from here on count as this one. Default: all are told apart"),
        untied: z.boolean().default(defaults.untied).describe("whether every layer has its own biases u and v"),
      }),
    make: ({ maxDistance, untied }, { layers, modelWidth, heads, causal }) => ({
      scores: transformerXlScores({
        layers,
        modelWidth,
        heads,
        untied,
        bidirectional: !causal,
        ...present({ maxDistance }),
      }),
    }),
  },
);
