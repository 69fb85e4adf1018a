import { add, type Concrete, constant, type RandomKey, randomKey, splitKey, sub, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { AttentionMap, Mixer, Recurrent, View } from "../../kinds/index.ts";
import { type Context, evaluation } from "../../kinds/layer.ts";
import type { LinearParams } from "../../nn/linear.ts";
import { headWidthOf } from "../../nn/sizes.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { maskAt } from "../core/mask-at.ts";
import { requireSupport } from "../core/require-support.ts";
import { headsBeside } from "../core/side-by-side.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { localAttention } from "../softmax/local-attention.ts";
import { balancedAttention, topMembers } from "./routing-balanced.ts";
import {
  type Assigned,
  type Centroids,
  commitmentLoss,
  cosine,
  layerNormalised,
  type Measure,
  meansOf,
  nearestCentroids,
  nearness,
  nextCentroids,
  scoresOfMean,
  startCentroids,
} from "./routing-centroids.ts";
import { emptyRings, nearestAttention, nearestStep, type Rings } from "./routing-nearest.ts";

/** Without `key`, queries and keys share one projection. */
export type RoutingParams = { query: LinearParams; key?: LinearParams; value: LinearParams; out: LinearParams };

export type RoutingOptions = HeadProjectionOptions & {
  readonly causal: boolean;
  /** k: number of clusters, about √n. */
  readonly centroids: number;
  /** W: members of a cluster that are looked at, about n / k. */
  readonly window: number;
  /** Who belongs to a cluster. Default: {@link nearestMembers} when causal, otherwise {@link balancedMembers}. */
  readonly members?: ClusterAttention;
  /** Default: {@link layerNormalised}. */
  readonly measure?: Measure;
  /** Factor of the logits. Default: that of `measure`. */
  readonly scale?: number;
  /**
   * Replaces the logit of a position with itself; causal only. Default: no replacement, as published. Where queries are keys of one length
   * that logit is the largest of all, D after layer norm against 0 ± √D of others: −10⁴ lets models see others from the first step on.
   */
  readonly selfLogit?: number;
  /** Decay of the running counts and sums per training pass. Default: 0.999. */
  readonly decay?: number;
  /** β, weight of the commitment loss. Default: 10⁻⁴. */
  readonly commitment?: number;
};

type ClusterInput = {
  readonly q: Tensor;
  /** `q` itself where queries and keys are shared. */
  readonly k: Tensor;
  readonly v: Tensor;
  /** Scores `x·μ` [B, H, k, T] of queries and of keys. */
  readonly scores: { readonly query: Tensor; readonly key: Tensor };
  /** The centroid nearest to each query, int32 [B, H, T]. */
  readonly nearest: Tensor;
  readonly causal: boolean;
  readonly window: number;
  readonly scale: number;
  readonly selfLogit?: number;
  readonly keyMask?: Tensor;
  readonly dropoutRate: number;
  readonly context: Context;
};

/** Membership of clusters, and attention inside them. */
export type ClusterAttention = {
  mix(input: ClusterInput): { readonly mixed: Tensor; readonly map: () => AttentionMap };
  /** One step of the causal form; absent where later positions influence membership. */
  readonly step?: typeof nearestStep;
};

/**
 * Each centroid takes the W positions that score highest with it: {@link balancedAttention}, the published form.
 *
 * Where causal, a position looks at earlier members only, but membership depends on the scores of the whole sequence: a later token
 * can push an earlier one out of its cluster. In training the model may rely on that, but it is not available in generation, so
 * this form has no step.
 */
export const balancedMembers: ClusterAttention = {
  mix: ({ q, k, v, scores, ...rest }) => {
    const queries = topMembers(scores.query, rest.window, rest.keyMask);
    const keys = scores.key === scores.query ? queries : topMembers(scores.key, rest.window, rest.keyMask);
    return balancedAttention(q, k, v, { ...rest, queries, keys });
  },
};

/**
 * Each position belongs to its nearest centroid and looks at the last W members up to itself: {@link nearestAttention}.
 * Nothing depends on later positions, and decoding step by step, with a ring buffer of W members per centroid, gives the same results.
 */
export const nearestMembers: ClusterAttention = {
  mix: ({ q, k, v, nearest, causal, ...rest }) => {
    if (!causal) throw new RangeError("nearestMembers: is causal only; take balancedMembers");
    return nearestAttention(q, k, v, nearest, rest);
  },
  step: nearestStep,
};

const defaults = { decay: 0.999, commitment: 1e-4 };

const refusals = { scores: "the members of a cluster are at any positions, and differ by head" };

/** Decode state: the centroids as training left them, and the ring buffers of {@link nearestStep}. */
export type RoutingState = Rings & { centroids: Centroids };

/**
 * Attention among tokens near the same centroid. Centroids are running means of the queries and keys themselves (training state); a
 * commitment loss pulls queries and keys to them.
 *
 * `y_t = softmax(q_t·k_s)·v_s` over the s that share a cluster with t. Causal: keys are the queries (one projection), and
 * clusters are {@link nearestMembers}; the published {@link balancedMembers} let later tokens change what earlier ones see.
 * Bidirectional: queries and keys have separate projections and share the centroids. Rotary positions rotate queries and
 * keys after the assignment to clusters.
 *
 * Without training state the centroids are those of seed 0, they stay fixed, and there is no loss.
 *
 * @shape  x [B, T, C] → y [B, T, C]; training state: counts [H, k], sums [H, k, D]
 * @cost   O(B·H·T·(k + W)·D) time: O(T^1.5) with k and W about √T
 * @source Roy, Saffar, Vaswani & Grangier 2021, "Efficient Content-Based Sparse Attention with Routing Transformers",
 *   arXiv:2003.05997
 * @differs causal clusters, see above; the nearest centroid is found less {@link scoresOfMean}, or all tokens would soon go to one, which the published
 *   top members rule out; counts start at 1 instead of 0, since sums start as the centroids and the first step would
 *   otherwise move them far away. The paper has half of the heads attend locally: {@link headsBeside} adds a local mixer
 * @throws RangeError when the heads do not divide the width, a count is below 1, or `selfLogit` is given and it is not causal
 */
export function routing(options: RoutingOptions): Mixer<RoutingParams> {
  const { heads, causal, centroids, window, dropoutRate = 0 } = options;
  const { members = causal ? nearestMembers : balancedMembers, measure = layerNormalised } = options;
  const { selfLogit, decay = defaults.decay, commitment = defaults.commitment } = options;
  check(options);
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections("routing", options);
  const scale = options.scale ?? measure.scale(headWidth);
  const start = (key: RandomKey) => startCentroids(key, heads, centroids, headWidth);

  /** Queries, keys, values of positions x, and their scores with each centroid. */
  const look = (params: RoutingParams, x: Tensor, view: View, running: Centroids) => {
    requireSupport("routing", view, refusals);
    const query = toHeads(params.query, x);
    const key = params.key === undefined ? query : toHeads(params.key, x);
    const value = toHeads(params.value, x);
    const means = meansOf(running);
    const centroids = measure.centroid(means);
    const common = scoresOfMean(running, centroids);
    const assign = (projected: Tensor): Assigned & { readonly scores: Tensor } => {
      const points = measure.point(projected);
      const scores = nearness(points, centroids);
      return { points, scores, nearest: nearestCentroids(sub(scores, common)), ...present({ keyMask: view.keyMask }) };
    };
    const queries = assign(query);
    const keys = key === query ? queries : assign(key);
    const q = measure.query(query);
    const k = key === query && measure.key === measure.query ? q : measure.key(key);
    return {
      q: view.rotate?.query(q) ?? q,
      k: view.rotate?.key(k) ?? k,
      v: view.rotate?.value?.(value) ?? value,
      means,
      sets: key === query ? [queries] : [queries, keys],
      scores: { query: queries.scores, key: keys.scores },
      nearest: queries.nearest,
    };
  };

  const recurrent = (step: typeof nearestStep): Recurrent<RoutingParams, RoutingState> => ({
    start: (batch, _capacity, training?: unknown) => ({
      ...emptyRings(batch, heads, centroids, window, headWidth),
      centroids: (training as Concrete<Centroids> | undefined) ?? start(randomKey(0)),
    }),
    step: (params, x, { centroids, ...rings }, { position, view }) => {
      const { q, k, v, nearest } = look(params, x, view, centroids);
      const keyMask = maskAt(view.keyMask, position);
      const options = { scale, ...present({ keyMask, selfLogit }) };
      const { mixed, state } = step(rings, q, k, v, nearest, options);
      return { y: fromHeads(params.out, mixed, evaluation), state: { ...state, centroids } };
    },
  });

  return {
    name: "routing",
    sees: causal && members.step !== undefined ? "earlier" : "all",
    init: (key): Concrete<RoutingParams> => {
      const [q, k, v, o] = splitKey(key, 4);
      const own = { query: initHeads(q!), value: initHeads(v!), out: initOut(o!) };
      return causal ? own : { ...own, key: initHeads(k!) };
    },
    apply: (params, input, context) => {
      oneSequence("routing", input);
      const { x, view, state } = input;
      const training = state?.training as Centroids | undefined;
      const from = training ?? constants(start(randomKey(0)));
      const { means, sets, ...looked } = look(params, x, view, from);
      const { keyMask } = view;
      const { mixed, map } = members.mix({
        ...looked,
        causal,
        window,
        scale,
        dropoutRate,
        context,
        ...present({ selfLogit, keyMask }),
      });
      const y = fromHeads(params.out, mixed, context);
      if (training === undefined) return { y, map, ...present({ state }) };
      const losses = sets.map((set) => commitmentLoss(means, set, commitment));
      const next = context.key === undefined ? from : nextCentroids(from, sets, decay);
      return {
        y,
        map,
        losses: { commitment: losses.reduce((a, b) => add(a, b)) },
        state: { ...state, training: next },
      };
    },
    initTrainingState: start,
    ...(causal &&
      members.step !== undefined && { recurrent: recurrent(members.step) as Recurrent<RoutingParams, never> }),
  };
}

function check({ causal, centroids, window, selfLogit }: RoutingOptions): void {
  if (!(centroids >= 1 && window >= 1)) {
    throw new RangeError(
      `routing: expected at least one centroid and a window of at least 1, got ${centroids}, ${window}`,
    );
  }
  if (selfLogit !== undefined && !causal) throw new RangeError("routing: a self logit needs causal: true");
}

function constants({ counts, sums }: Concrete<Centroids>): Centroids {
  return { counts: constant(counts), sums: constant(sums) };
}

export type RoutingSettings = {
  readonly centroids?: number;
  readonly window?: number;
  readonly members?: "nearest" | "balanced";
  readonly measure?: "layer norm" | "cosine";
  readonly scale?: number;
  readonly selfLogit?: number;
  readonly decay?: number;
  readonly commitment?: number;
  readonly localHeads?: number;
  readonly localChunk?: number;
};

export const routingEntry: MixerEntry<"routing", RoutingSettings> = /* @__PURE__ */ mixerEntry({
  name: "routing",
  title: "Routing attention",
  year: 2021,
  paper:
    "Roy, Saffar, Vaswani & Grangier 2021, Efficient Content-Based Sparse Attention with Routing Transformers, arXiv:2003.05997",
  summary: "attention within clusters of tokens that are near the same running centroid",
  formula: "y_t = softmax(q_t·k_C)·v_C, C = {s : μ(s) = μ(t)}; q, k layer-normalised, k = q where causal",
  cost: "O(n^1.5·d) time, O(n^1.5·h + n·d) memory",
  exponent: 1.5,
  directions: ["causal", "bidirectional"],
  refuses: refusals,
  decodeState: "stays the same",
  options: () =>
    z.strictObject({
      centroids: positionCount()
        .optional()
        .describe("clusters of each head. Default: about √n of the longest sequence"),
      window: positionCount()
        .optional()
        .describe("members of a cluster that are looked at. Default: the longest sequence by centroids"),
      members: z
        .enum(["nearest", "balanced"])
        .optional()
        .describe(
          "each token goes to its nearest centroid, or each centroid takes the tokens nearest to it; the latter is as published, but lets " +
            "later tokens choose what earlier ones see, and does not decode. Default: nearest where causal, otherwise balanced, the only one there",
        ),
      measure: z
        .enum(["layer norm", "cosine"])
        .default("layer norm")
        .describe("how queries and keys are brought to a common length"),
      scale: z
        .number()
        .positive()
        .optional()
        .describe("factor of the logits. Default: 1 after layer norm, 1/√d with cosine"),
      selfLogit: z
        .number()
        .optional()
        .describe(
          "in place of a token's logit with itself (causal only). Default: the logit itself, as published, the largest of all; -10000 makes tokens look " +
            "at others from the first step on",
        ),
      decay: z
        .number()
        .min(0)
        .max(1)
        .default(defaults.decay)
        .describe("of the running centroids, for each training step"),
      commitment: z
        .number()
        .nonnegative()
        .default(defaults.commitment)
        .describe("β, weight of the loss that draws tokens to centroids"),
      localHeads: positionCount(0)
        .default(0)
        .describe(
          "heads that look at their own chunk and the one before instead; half of them in the paper's best models",
        ),
      localChunk: positionCount().default(128).describe("tokens in a chunk of the local heads"),
    }),
  make: ({ members, measure, window, localHeads, localChunk, scale, selfLogit, ...rest }, context): Mixer => {
    const { heads, length } = context;
    const { centroids = Math.max(1, Math.round(Math.sqrt(length))) } = rest;
    if (localHeads >= heads) {
      throw new RangeError(`routing: expected fewer than all ${heads} heads to be local, got ${localHeads}`);
    }
    const headWidth = headWidthOf("routing", context);
    const routed = routing({
      ...context,
      ...rest,
      heads: heads - localHeads,
      headWidth,
      centroids,
      window: window ?? Math.ceil(length / centroids),
      measure: measure === "cosine" ? cosine : layerNormalised,
      ...(members !== undefined && { members: members === "nearest" ? nearestMembers : balancedMembers }),
      ...present({ scale, selfLogit }),
    });
    if (localHeads === 0) return routed;
    const local = localAttention({ ...context, heads: localHeads, headWidth, chunk: localChunk });
    return headsBeside({ local, routing: routed });
  },
});
