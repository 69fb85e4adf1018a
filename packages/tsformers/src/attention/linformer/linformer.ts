import {
  add,
  type Concrete,
  cast,
  equal,
  expandDims,
  iota,
  matmul,
  mul,
  ones,
  splitKey,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import type { KeyValueCache, Mixer, Rotation } from "../../kinds/index.ts";
import type { LinearParams } from "../../nn/linear.ts";
import { CombinationError } from "../../schema/combination-error.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { attend } from "../core/executor.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { makeView } from "../core/view.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { fullPattern } from "../patterns/pattern.ts";
import { type AttentionParams, splitHeads } from "../softmax/attention.ts";
import {
  convolutionProjection,
  type LengthProjection,
  learnedProjection,
  meanProjection,
  type ProjectionSize,
} from "./linformer-projection.ts";

/**
 * What gets projection matrices of its own: the keys and the values of each head (`none`), the keys and the values of each layer
 * (`headwise`), each layer (`key-value`), or only the first layer, for all (`layerwise`).
 */
export type ProjectionSharing = "none" | "headwise" | "key-value" | "layerwise";

export type LinformerOptions<P> = HeadProjectionOptions & {
  /** The projection from positions to slots. Its number of slots may differ from layer to layer. */
  readonly projection: LengthProjection<P>;
  /** Default: `key-value`. */
  readonly sharing?: ProjectionSharing;
  /** Index of this layer, from 0: under `layerwise` only the first has projection parameters. Default: 0. */
  readonly layer?: number;
};

/** Parameters of the projection of keys, and of that of values where they are not shared. */
export type ProjectionPair<P> = { key: P; value?: P };

/** `projection` is absent where that of the first layer is used: under `layerwise` sharing. */
export type LinformerParams<P> = AttentionParams & { projection?: ProjectionPair<P> };

const defaults = { sharing: "key-value" } as const;

const refusals = { scores: "a logit belongs to a slot, which has no position" };

/**
 * Attention over a fixed number of slots, each a weighted sum of positions: `softmax(q·(Eᵀ·K)ᵀ / √D)·(Fᵀ·V)`.
 *
 * Not causal, since every slot mixes in later positions. Padding is left out of the sums. Where the heads share E, it is
 * applied before the key and value projections, which then have M rows instead of S: the two operations commute.
 *
 * `map()` gives the effective weights of the values, `softmax(…)·Fᵀ`: T × S, computed when called, and negative where F is.
 *
 * @shape  x [B, T, C] → y [B, T, C]; E, F [S, M]
 * @cost   O(B·T·M·C) time, O(B·H·T·M) memory
 * @source Wang et al. 2020, "Linformer: Self-Attention with Linear Complexity", §4, arXiv:2006.04768
 * @differs the default sharing is `key-value`: the paper finds that it loses little, and it halves the parameters and
 *   the largest products. The authors' code adds the biases of keys and values after E; here E sums them too, as in
 *   `E·K`.
 * @throws RangeError when the sequence is longer than the projection was made for
 */
export function linformer<P>(options: LinformerOptions<P>): Mixer<LinformerParams<P>> {
  const { heads, projection, sharing = defaults.sharing, layer = 0, dropoutRate = 0 } = options;
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections("linformer", options);
  const scale = 1 / Math.sqrt(headWidth);
  const perHead = sharing === "none" ? heads : undefined;

  /** `Eᵀ·(x·W + b)` by head, computed as `(Eᵀ·x)·W + Eᵀ·1·b`: fewer rows are multiplied by W. `sums` are those of x and of 1. */
  const mapSums = (own: LinearParams, sums: { ofX: Tensor; ofOnes: Tensor }): Tensor => {
    const slots = matmul(sums.ofX, own.weight);
    return splitHeads(own.bias === undefined ? slots : add(slots, mul(sums.ofOnes, own.bias)), heads);
  };

  const entriesOf = (params: LinformerParams<P>, pair: ProjectionPair<P>, x: Tensor, of: Of): KeyValueCache => {
    const { real, rotate } = of;
    const { key, value = key } = pair;
    if (perHead === undefined && rotate === undefined) {
      const source = real === undefined ? x : mul(x, expandDims(real, -1));
      const column = expandDims(real ?? ones([1, x.shape[1]!], x.dtype), -1);
      const sumsOf = (matrix: P) => ({
        ofX: projection.apply(matrix, source, real),
        ofOnes: projection.apply(matrix, column, real),
      });
      const sums = sumsOf(key);
      return { key: mapSums(params.key, sums), value: mapSums(params.value, value === key ? sums : sumsOf(value)) };
    }
    const mask = real && expandDims(expandDims(real, 1), -1);
    const slotsOf = (matrix: P, x: Tensor) => projection.apply(matrix, mask === undefined ? x : mul(x, mask), real);
    const [k, v] = [toHeads(params.key, x), toHeads(params.value, x)];
    return { key: slotsOf(key, rotate?.key(k) ?? k), value: slotsOf(value, rotate?.value?.(v) ?? v) };
  };

  return {
    name: "linformer",
    sees: "all",
    ...(sharing === "layerwise" && { shareParams }),
    init: (random): Concrete<LinformerParams<P>> => {
      const [q, k, v, o, e, f] = splitKey(random, 6);
      const pair = { key: projection.init(e!, perHead) };
      const both = sharing === "none" || sharing === "headwise";
      const owned = both ? { ...pair, value: projection.init(f!, perHead) } : pair;
      return {
        query: initHeads(q!),
        key: initHeads(k!),
        value: initHeads(v!),
        out: initOut(o!),
        ...(!(sharing === "layerwise" && layer > 0) && { projection: owned }),
      } as Concrete<LinformerParams<P>>;
    },
    apply: (params, input, context) => {
      oneSequence("linformer", input);
      const { x, view } = input;
      requireSupport("linformer", view, refusals);
      const [, length] = x.shape as [number, number];
      if (length > projection.length) {
        throw new RangeError(`linformer: made for sequences of at most ${projection.length}, got ${length}`);
      }
      const pair = params.projection;
      if (pair === undefined) {
        throw new CombinationError(
          `linformer: layer ${layer} has no projection of its own, and was not given that of the first layer`,
        );
      }
      const { rotate } = view;
      const real = view.keyMask && cast(view.keyMask, x.dtype);
      const entries = entriesOf(params, pair, x, present({ real, rotate }));
      const query = toHeads(params.query, x);
      const { mixed, map } = attend(rotate?.query(query) ?? query, entries, {
        view: makeView({
          pattern: fullPattern,
          queries: length,
          keys: entries.key.shape[2]!,
          ...present({ keyMask: real && projection.filled(real) }),
        }),
        scale,
        dropoutRate,
        context,
      });
      return {
        y: fromHeads(params.out, mixed, context),
        map: () => {
          const each = identity(length, x);
          const positions = real === undefined ? each : mul(each, expandDims(real, -1));
          const own = projection.apply(pair.value ?? pair.key, expandDims(positions, 1), real);
          return { weights: matmul(map().weights, cast(own, "float32")) };
        },
      };
    },
  };
}

/** Under `layerwise` sharing, all layers have the projection of the first. */
function shareParams<P>(own: LinformerParams<P>, { projection }: LinformerParams<P>): LinformerParams<P> {
  return { ...own, ...present({ projection }) };
}

/** Which positions are real, [B, S], and the rotation of queries and keys. */
type Of = { readonly real?: Tensor; readonly rotate?: Rotation };

/** [1, n, n] */
function identity(size: number, { dtype }: Tensor): Tensor {
  return expandDims(cast(equal(iota(size), expandDims(iota(size), 1)), dtype), 0);
}

export type LinformerSettings = {
  readonly slots?: number | readonly number[];
  readonly projection?: "learned" | "mean" | "convolution";
  readonly sharing?: ProjectionSharing;
};

export const linformerEntry: MixerEntry<"linformer", LinformerSettings> = /* @__PURE__ */ mixerEntry({
  name: "linformer",
  title: "Linformer",
  year: 2020,
  paper: "Wang et al. 2020, Linformer: Self-Attention with Linear Complexity, arXiv:2006.04768",
  summary: "attention over a fixed number of slots that positions are summed into",
  formula: "softmax(q·(EK)ᵀ / √d)·(FV), E and F [k, n]",
  cost: "O(n·k·d) time, O(n·k) memory",
  exponent: 1,
  directions: ["bidirectional"],
  refuses: refusals,
  options: () =>
    z.strictObject({
      slots: z
        .union([positionCount(), z.array(positionCount()).min(1)])
        .default(256)
        .describe("how many slots the longest sequence fills, or a list of it for each layer"),
      projection: z
        .enum(["learned", "mean", "convolution"])
        .default("learned")
        .describe("how positions become slots: sums over all, means or learned sums over windows"),
      sharing: z
        .enum(["none", "headwise", "key-value", "layerwise"])
        .default(defaults.sharing)
        .describe(
          "what has a projection of its own: each head's keys and values, keys and values, each layer, the stack",
        ),
    }),
  make: ({ slots, projection, sharing }, context) => {
    const { length, layer = 0 } = context;
    const list = [slots].flat();
    const [first, wanted] = [list[0]!, list[Math.min(layer, list.length - 1)]!];
    if (sharing === "layerwise" && (projection === "convolution" ? wanted !== first : wanted > first)) {
      const limit = projection === "convolution" ? "as many slots as" : "no more slots than";
      throw new RangeError(
        `linformer: layers that share a ${projection} projection have ${limit} the first, whose it is; got ${wanted} in layer ${layer} and ${first} in the first`,
      );
    }
    const projections: Record<typeof projection, (size: ProjectionSize) => LengthProjection<unknown>> = {
      learned: learnedProjection,
      mean: meanProjection,
      convolution: convolutionProjection,
    };
    return linformer({
      ...context,
      projection: projections[projection]({ length, slots: Math.min(wanted, length) }),
      sharing,
    });
  },
});
