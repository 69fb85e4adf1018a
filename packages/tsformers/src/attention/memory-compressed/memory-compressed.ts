import {
  add,
  broadcastTo,
  type Concrete,
  cast,
  concat,
  constant,
  div,
  equal,
  expandDims,
  fromNumbers,
  full as fullArray,
  gather,
  iota,
  mod,
  mul,
  ones,
  reshape,
  slice,
  splitKey,
  type Tensor,
  where,
} from "@tsformers/engine";
import * as z from "zod";
import type { AttentionMap, KeyValueCache, Mixer, Recurrent } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { attend } from "../core/executor.ts";
import { type HeadProjectionOptions, headProjections, oneSequence, realAt } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { makeView } from "../core/view.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { causal as causalPattern, fullPattern } from "../patterns/pattern.ts";
import { type AttentionParams, joinHeads, splitHeads } from "../softmax/attention.ts";
import {
  type BlockRule,
  blocksAsFeatures,
  type LastBlock,
  learnedFirst,
  realBlocks,
  slotsSeen,
  strictlyPast,
} from "./compressed-blocks.ts";

export type MemoryCompressedOptions = HeadProjectionOptions & {
  readonly causal: boolean;
  /** Positions per slot. Default: 3. */
  readonly factor?: number;
  /**
   * What the convolution compresses: the inputs of the key and value projections, or keys and values themselves. Default:
   * `inputs`.
   */
  readonly compress?: "inputs" | "keys and values";
  /** Which blocks a position sees when causal. Default: {@link strictlyPast}. */
  readonly rule?: BlockRule;
  /** Treatment of an incomplete last block; not causal only. Default: `filled`. */
  readonly last?: LastBlock;
};

/** Convolutions, each a matrix over the concatenated positions of a block, [factor·C, C]. */
export type CompressionParams = { inputs: LinearParams } | { key: LinearParams; value: LinearParams };

export type MemoryCompressedParams = AttentionParams & {
  compress: CompressionParams;
  /** The learned slot 0, key and value [H, D] each. */
  first?: { key: Tensor; value: Tensor };
};

/** Decode state: slots so far, which of them are real [B, L], and the inputs of the current block, [B, factor, C] and [B, factor]. */
export type MemoryCompressedState = KeyValueCache & { filled: Tensor; block: Tensor; real: Tensor };

/**
 * The mixers of the five layers of the paper's T-DMCA: attention within blocks of 256, alternating with compressed attention.
 */
export const tDmcaLayers: readonly ("local" | "memory-compressed")[] = [
  "local",
  "memory-compressed",
  "local",
  "memory-compressed",
  "local",
];

/**
 * Softmax attention over compressed positions: a convolution whose stride equals its kernel size turns each block of positions into
 * one slot.
 *
 * `x̄_j = Σ_i x_{cj + i}·A_i + a` for i < c, keys and values projected from x̄ (or keys and values compressed in the same
 * way). Causal: slot 0 is position 0 itself, and position t sees slots 0 … ⌊t / c⌋, the complete blocks before its own.
 *
 * Padding counts as 0 in a filled block; dropping removes blocks that are not real throughout. `map()` gives a slot's
 * weight to the last position of its block, and leaves out a learned slot.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T²·C / c) time; memory: {@link attend}, with S = T / c keys
 * @source Liu et al. 2018, "Generating Wikipedia by Summarizing Long Sequences", §4.2.3, arXiv:1801.10198
 * @differs the paper does not describe causal masking: the rule is that of its authors' library. In the bidirectional form
 *   that library drops an incomplete last block; here the default is to fill it with 0, since otherwise the last
 *   positions, and sequences shorter than a block, would not be seen.
 * @throws RangeError when `last` is `dropped` and no block is complete
 */
export function memoryCompressed(options: MemoryCompressedOptions): Mixer<MemoryCompressedParams> {
  const { modelWidth, heads, causal, rule = strictlyPast, dropoutRate = 0 } = options;
  const { factor, compress } = { ...defaults, ...options };
  const name = "memory-compressed";
  if (!Number.isInteger(factor) || factor < 1)
    throw new RangeError(`${name}: expected a factor of at least 1, got ${factor}`);
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections(name, options);
  const scale = 1 / Math.sqrt(headWidth);
  const last = causal ? "dropped" : (options.last ?? "filled");
  const width = compress === "inputs" ? modelWidth : heads * headWidth;
  const convolution = linear(factor * width, width, {
    bias: options.bias ?? true,
    ...present({ initial: options.initial }),
  });
  const pattern = causal ? slotsSeen(factor, rule) : fullPattern;
  type Params = MemoryCompressedParams;

  /** One slot per block of x [B, S, C]. */
  const blocksOf = ({ compress: own, ...params }: Params, x: Tensor, real?: Tensor): KeyValueCache => {
    const masked = (x: Tensor) => (real === undefined ? x : mul(x, expandDims(cast(real, x.dtype), -1)));
    if ("inputs" in own) {
      const slots = convolution.apply(own.inputs, blocksAsFeatures(masked(x), factor, last));
      return { key: toHeads(params.key, slots), value: toHeads(params.value, slots) };
    }
    const [key, value] = (["key", "value"] as const).map((part) => {
      const whole = masked(joinHeads(toHeads(params[part], x)));
      return splitHeads(convolution.apply(own[part], blocksAsFeatures(whole, factor, last)), heads);
    }) as [Tensor, Tensor];
    return { key, value };
  };

  /** Slot 0, learned or from position 0 [B, 1, C]; undefined where the rule has none. */
  const firstOf = (params: Params, x: Tensor): KeyValueCache | undefined => {
    if (params.first !== undefined) {
      const spread = (slot: Tensor) =>
        broadcastTo(reshape(slot, [1, heads, 1, headWidth]), [x.shape[0]!, heads, 1, headWidth]);
      return { key: spread(params.first.key), value: spread(params.first.value) };
    }
    return causal ? { key: toHeads(params.key, x), value: toHeads(params.value, x) } : undefined;
  };
  /** 1 where slot 0 is visible, [B, 1]. */
  const firstFilled = (real: Tensor): Tensor =>
    rule.first === "learned" ? ones([real.shape[0]!, 1]) : slice(real, 1, 0, 1);

  const recurrent: Recurrent<Params, MemoryCompressedState> = {
    start: (batch, capacity) => {
      const slots = 1 + Math.floor(capacity / factor);
      const entries = fullArray([batch, heads, slots, headWidth], 0);
      return {
        key: entries,
        value: entries,
        filled: fullArray([batch, slots], 0),
        block: fullArray([batch, factor, modelWidth], 0),
        real: fullArray([batch, factor], 0),
      };
    },
    step: (params, x, state, { position, view }) => {
      requireSupport(name, view, refusals);
      const place = equal(iota(factor), mod(position, factor));
      const [batch] = x.shape as [number];
      const isReal = realAt(view.keyMask, position) ?? ones([batch, 1]);
      const block = where(expandDims(place, -1), x, state.block);
      // Leftovers of the previous block give a wrong slot; it becomes visible only after the current block has overwritten all
      // of them.
      const real = where(place, isReal, state.real);
      const slots = state.filled.shape[1]!;
      const own = blocksOf(params, block, real);
      const first = firstOf(params, x)!;
      const isFirst = equal(position, 0);
      const isOwn = equal(iota(slots), add(div(position, factor), 1));
      const write = (old: Tensor, fresh: Tensor, ahead: Tensor) => {
        const head = where(isFirst, ahead, slice(old, -2, 0, 1));
        return where(expandDims(isOwn, -1), fresh, concat([head, slice(old, -2, 1)], -2));
      };
      const next = {
        key: write(state.key, own.key, first.key),
        value: write(state.value, own.value, first.value),
        filled: reshape(
          write(
            expandDims(state.filled, -1),
            expandDims(realBlocks(real, factor, "dropped"), -1),
            expandDims(firstFilled(isReal), -1),
          ),
          [batch, slots],
        ),
      };
      const seen = div(add(position, 1 - rule.delay), factor);
      const { mixed } = attend(toHeads(params.query, x), next, {
        // Position t sees the slots up to `seen`, like a causal query at that offset.
        view: makeView({ pattern: causalPattern, queries: 1, keys: slots, offset: seen, keyMask: next.filled }),
        scale,
        context: evaluation,
      });
      return { y: fromHeads(params.out, mixed, evaluation), state: { ...next, block, real } };
    },
  };

  return {
    name,
    sees: causal ? "earlier" : "all",
    init: (random): Concrete<Params> => {
      const [q, k, v, o, a, b] = splitKey(random, 6);
      const empty = fullArray([heads, headWidth], 0);
      return {
        query: initHeads(q!),
        key: initHeads(k!),
        value: initHeads(v!),
        out: initOut(o!),
        compress:
          compress === "inputs"
            ? { inputs: convolution.init(a!) }
            : { key: convolution.init(a!), value: convolution.init(b!) },
        ...(rule.first === "learned" ? { first: { key: empty, value: empty } } : {}),
      };
    },
    apply: (params, input, context) => {
      oneSequence(name, input);
      const { x, view } = input;
      requireSupport(name, view, refusals);
      const [, length] = x.shape as [number, number];
      const real = view.keyMask && cast(view.keyMask, "float32");
      const first = firstOf(params, slice(x, 1, 0, 1));
      const whole = last === "filled" || length >= factor;
      const slots = [...(first === undefined ? [] : [first]), ...(whole ? [blocksOf(params, x, real)] : [])];
      if (slots.length === 0) throw new RangeError(`${name}: no complete block of ${factor} among ${length} positions`);
      const entries = {
        key: joined(
          slots.map(({ key }) => key),
          2,
        ),
        value: joined(
          slots.map(({ value }) => value),
          2,
        ),
      };
      const keys = entries.key.shape[2]!;
      const filled =
        real && joined([...(first ? [firstFilled(real)] : []), ...(whole ? [realBlocks(real, factor, last)] : [])], 1);
      const { mixed, map } = attend(toHeads(params.query, x), entries, {
        view: makeView({ pattern, queries: length, keys, ...present({ keyMask: filled }) }),
        scale,
        dropoutRate,
        context,
      });
      return {
        y: fromHeads(params.out, mixed, context),
        map: () => overPositions(map(), keys, { factor, length, first: first && rule.first }),
      };
    },
    ...(causal ? { recurrent: recurrent as unknown as Recurrent<Params, never> } : {}),
  };
}

const defaults = { factor: 3, compress: "inputs" } as const;

const refusals = {
  scores: "each logit belongs to a block of positions",
  rotation: "each key combines a block of positions",
};

function joined(parts: readonly Tensor[], axis: number): Tensor {
  return parts.length === 1 ? parts[0]! : concat(parts, axis);
}

type Slots = { readonly factor: number; readonly length: number; readonly first: "position" | "learned" | undefined };

/** Turns a map over slots into one over positions. */
function overPositions({ weights, keys }: AttentionMap, slots: number, of: Slots): AttentionMap {
  const { factor, length, first } = of;
  const ahead = first === undefined ? 0 : 1;
  const positions = Array.from({ length: slots }, (_, slot) =>
    Math.max(0, Math.min(length, (slot + 1 - ahead) * factor) - 1),
  );
  const table = constant(fromNumbers(positions, [slots], "int32"));
  const own = keys ?? reshape(iota(slots), [1, 1, 1, slots]);
  const shown = first === "learned" ? where(equal(own, 0), 0, weights) : weights;
  return { weights: shown, keys: gather(table, own) };
}

export type MemoryCompressedSettings = {
  readonly factor?: number;
  readonly compress?: "inputs" | "keys and values";
  readonly first?: "position" | "learned";
};

export const memoryCompressedEntry: MixerEntry<"memory-compressed", MemoryCompressedSettings> =
  /* @__PURE__ */ mixerEntry({
    name: "memory-compressed",
    title: "Memory-compressed attention",
    year: 2018,
    paper: "Liu et al. 2018, Generating Wikipedia by Summarizing Long Sequences, arXiv:1801.10198",
    summary: "softmax attention over blocks of positions that a strided convolution makes one slot of",
    formula: "softmax(q·k̄ᵀ / √d)·v̄, k̄, v̄ from convolutions with stride c",
    cost: "O(n²·d / c) time, O(n·d) memory",
    exponent: 2,
    directions: ["causal", "bidirectional"],
    refuses: refusals,
    decodeState: "grows",
    options: () =>
      z.strictObject({
        factor: positionCount().default(defaults.factor).describe("how many positions become one"),
        compress: z
          .enum(["inputs", "keys and values"])
          .default(defaults.compress)
          .describe("what the convolution compresses"),
        first: z
          .enum(["position", "learned"])
          .default("position")
          .describe(
            "what every position sees: the first one, then blocks of the past; or a learned slot, then also blocks that end with itself",
          ),
      }),
    make: ({ factor, compress, first }, context) =>
      memoryCompressed({ ...context, factor, compress, rule: first === "position" ? strictlyPast : learnedFirst }),
  });
