import { add, type Concrete, cast, mul, splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { Mixer, Recurrent, View } from "../../kinds/index.ts";
import { type Context, evaluation } from "../../kinds/layer.ts";
import { within } from "../../nn/dropout.ts";
import { normalInitial } from "../../nn/initial.ts";
import { passCount, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { maskAt } from "../core/mask-at.ts";
import { requireSupport } from "../core/require-support.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import type { AttentionParams } from "../softmax/attention.ts";
import {
  type BlockMask,
  blockMask,
  blockSummaries,
  type SortNetParams,
  sortedAttention,
  sortLogits,
  visibleBlocks,
} from "./sinkhorn-attention.ts";
import { balance, type ColumnSums, gumbelNoise, overAllRows, overRowsSoFar } from "./sinkhorn-balance.ts";
import { emptySinkhornState, type SinkhornState, sinkhornStep } from "./sinkhorn-step.ts";

export type SinkhornParams = AttentionParams & { sort: SortNetParams };

export type SinkhornOptions = HeadProjectionOptions & {
  readonly causal: boolean;
  /** W, positions in a block. */
  readonly block: number;
  /** The longest sequence, in positions. */
  readonly length: number;
  /** How many times rows, then columns, are normalised. Default: 8. */
  readonly iterations?: number;
  /** Divisor of the sort logits. Default: 0.75. */
  readonly temperature?: number;
  /** Factor of the Gumbel noise added to the sort logits in training. Default: 1. */
  readonly noise?: number;
  /** Default: {@link overRowsSoFar} when causal, otherwise {@link overAllRows}. */
  readonly columns?: ColumnSums;
  /** SortCut: all queries look at the first `cut` sorted blocks. Bidirectional only. Default: each query at its own sorted block. */
  readonly cut?: number;
  /** Whether queries also look at their own block. Default: true without `cut`, false with it. */
  readonly local?: boolean;
  /** F, hidden width of the sorting network. Default: that of a head. */
  readonly sortWidth?: number;
  /** Factor of the logits. Default: 1/√headWidth. */
  readonly scale?: number;
};

const defaults = { iterations: 8, temperature: 0.75, noise: 1 };

const refusals = { scores: "a sorted key is a mixture of keys from many positions" };

/**
 * Attention of each block to itself and to one sorted block. A small network reads block sums and gives sort logits, which Sinkhorn
 * balancing turns into a matrix near to a permutation; the keys of the blocks are mixed by it.
 *
 * `S = Sinkhorn((F₂·relu(F₁·ψ) + noise) / temperature)`, `y = softmax(q·[S·K ‖ K]ᵀ/√D)·[S·V ‖ V]` over the sorted and the own block.
 * Causal: ψ sums up to the first position of a block, S mixes past blocks only, and columns are divided by sums over the rows so far;
 * with the published {@link overAllRows} outputs depend on later positions through those sums, and decoding is impossible.
 *
 * Rotary positions rotate keys before they are mixed: a logit is then the S-weighted mean of those with each source key.
 * `map()` shows a sorted key at its source with the largest weight. Padding adds nothing to ψ, K or V, and blocks of padding are
 * left out of the balancing.
 *
 * @shape  x [B, T, C] → y [B, T, C]; T up to `length`
 * @cost   O(B·H·T·(W + N)·D) time for N = T / W blocks, and O(B·H·N²·iterations)
 * @source Tay, Bahri, Yang, Metzler & Juan 2020, "Sparse Sinkhorn Attention", arXiv:2002.11296
 * @differs the causal column sums, see above
 * @throws RangeError when the heads do not divide the width, for SortCut when causal, and for sequences longer than `length`
 */
export function sinkhorn(options: SinkhornOptions): Mixer<SinkhornParams> {
  const { modelWidth, heads, causal, block, dropoutRate = 0, initial = normalInitial() } = options;
  const { cut, local = cut === undefined } = options;
  const { iterations, temperature, noise } = { ...defaults, ...options };
  const { columns = causal ? overRowsSoFar : overAllRows } = options;
  check(options);
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections("sinkhorn", options);
  const { scale = 1 / Math.sqrt(headWidth), sortWidth = headWidth } = options;
  const blocks = Math.ceil(options.length / block);

  const project = (params: SinkhornParams, x: Tensor, view: View): Record<"q" | "k" | "v", Tensor> => {
    requireSupport("sinkhorn", view, refusals);
    const [q, k, v] = [toHeads(params.query, x), toHeads(params.key, x), toHeads(params.value, x)];
    const { rotate } = view;
    return { q: rotate?.query(q) ?? q, k: rotate?.key(k) ?? k, v: rotate?.value?.(v) ?? v };
  };

  const sortMatrix = (
    params: SinkhornParams,
    x: Tensor,
    context: Context,
    visible?: Tensor,
    mask?: BlockMask,
  ): Tensor => {
    const logits = sortLogits(params.sort, blockSummaries(cast(x, "float32"), block, causal, mask));
    const { key } = within(context, "gumbel");
    const noisy = key === undefined || noise === 0 ? logits : add(logits, mul(gumbelNoise(key, logits.shape), noise));
    return balance(noisy, { iterations, temperature, columns, ...present({ visible }) });
  };

  const recurrent: Recurrent<SinkhornParams, SinkhornState> = {
    start: (batch, capacity) => {
      if (capacity > blocks * block) throw new RangeError(tooLong(capacity));
      const room = Math.ceil(capacity / block);
      return emptySinkhornState({ batch, heads, blocks: room, block, headWidth, modelWidth, iterations });
    },
    step: (params, x, state, { position, view }) => {
      const keyMask = maskAt(view.keyMask, position);
      const given = { x: cast(x, "float32"), ...project(params, x, view) };
      const step = { temperature, scale, local, ...present({ keyMask }) };
      const { mixed, state: next } = sinkhornStep(state, params.sort, given, position, step);
      return { y: fromHeads(params.out, mixed, evaluation), state: next };
    },
  };

  const tooLong = (length: number): string =>
    `sinkhorn: expected at most ${blocks} blocks of ${block} positions, got ${length} positions`;
  return {
    name: "sinkhorn",
    sees: causal && columns === overRowsSoFar ? "earlier" : "all",
    init: (key): Concrete<SinkhornParams> => {
      const [q, k, v, o, first, second] = splitKey(key, 6);
      return {
        query: initHeads(q!),
        key: initHeads(k!),
        value: initHeads(v!),
        out: initOut(o!),
        sort: {
          first: initial(first!, [heads, modelWidth, sortWidth]),
          second: initial(second!, [heads, sortWidth, blocks]),
        },
      };
    },
    apply: (params, input, context) => {
      oneSequence("sinkhorn", input);
      const { x, view } = input;
      const length = x.shape[1]!;
      if (length > blocks * block) throw new RangeError(tooLong(length));
      const { q, k, v } = project(params, x, view);
      const mask = blockMask(length, block, view.keyMask);
      const visible = visibleBlocks(Math.ceil(length / block), causal, columns === overAllRows, mask);
      const matrix = sortMatrix(params, x, context, visible, mask);
      const sorted = { block, causal, local, scale, dropoutRate, context, ...present({ cut, visible, mask }) };
      const { mixed, map } = sortedAttention(q, k, v, matrix, sorted);
      return { y: fromHeads(params.out, mixed, context), map };
    },
    ...(causal && columns === overRowsSoFar && { recurrent: recurrent as Recurrent<SinkhornParams, never> }),
  };
}

function check({ causal, cut, block }: SinkhornOptions): void {
  if (!(Number.isInteger(block) && block > 0)) {
    throw new RangeError(`sinkhorn: expected blocks of a positive number of positions, got ${block}`);
  }
  if (causal && cut !== undefined)
    throw new RangeError("sinkhorn: SortCut shows all queries the end of the sequence, so it needs causal: false");
}

export type SinkhornSettings = {
  readonly block?: number;
  readonly iterations?: number;
  readonly temperature?: number;
  readonly noise?: number;
  readonly columns?: "so far" | "whole";
  readonly cut?: number;
  readonly local?: boolean;
  readonly sortWidth?: number;
};

export const sinkhornEntry: MixerEntry<"sinkhorn", SinkhornSettings> = /* @__PURE__ */ mixerEntry({
  name: "sinkhorn",
  title: "Sinkhorn attention",
  year: 2020,
  paper: "Tay, Bahri, Yang, Metzler & Juan 2020, Sparse Sinkhorn Attention, arXiv:2002.11296",
  summary: "attention within the own block and one sorted to it by a learned, balanced mixing of blocks",
  formula: "y = softmax(q·[S·K ‖ K]ᵀ/√d)·[S·V ‖ V], S = Sinkhorn((F₂·relu(F₁·Σ_block x) + g)/τ)",
  cost: "O(n·(b + n/b)·d) time, O(n·(b + d)) memory, b = √n",
  exponent: 1.5,
  directions: ["causal", "bidirectional"],
  refuses: refusals,
  decodeState: "grows",
  options: () =>
    z.strictObject({
      block: positionCount().optional().describe("tokens in a block. Default: about √n of the longest sequence"),
      iterations: passCount().default(defaults.iterations).describe("how often rows, then columns, are normalised"),
      temperature: z.number().positive().default(defaults.temperature).describe("what the sort logits are divided by"),
      noise: z.number().nonnegative().default(defaults.noise).describe("factor of the Gumbel noise in training"),
      columns: z
        .enum(["so far", "whole"])
        .optional()
        .describe(
          "rows that columns are normalised over; whole ones depend on later tokens, and do not decode. Default: so far where causal, " +
            "otherwise whole",
        ),
      cut: positionCount()
        .optional()
        .describe("SortCut: all look at so many sorted blocks (bidirectional only). Default: each at its own"),
      local: z
        .boolean()
        .optional()
        .describe("whether tokens look at their own block too. Default: they do, save with SortCut"),
      sortWidth: positionCount().optional().describe("hidden width of the sorting network. Default: that of a head"),
    }),
  make: ({ block, columns, cut, local, sortWidth, ...rest }, context) =>
    sinkhorn({
      ...context,
      ...rest,
      block: block ?? 2 ** Math.round(Math.log2(context.length) / 2),
      ...(columns !== undefined && { columns: columns === "whole" ? overAllRows : overRowsSoFar }),
      ...present({ cut, local, sortWidth }),
    }),
});
