import {
  type Concrete,
  cast,
  constant,
  equal,
  fromNumbers,
  gather,
  iota,
  reshape,
  splitKey,
  where,
} from "@tsformers/engine";
import * as z from "zod";
import type { AttentionMap, Mixer, Recurrent } from "../../kinds/index.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { attend } from "../core/executor.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { makeView } from "../core/view.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { fullPattern } from "../patterns/pattern.ts";
import type { AttentionParams } from "../softmax/attention.ts";
import { type BlockRule, type LastBlock, learnedFirst, slotsSeen, strictlyPast } from "./compressed-blocks.ts";
import { memoryCompressedRecurrent } from "./decode.ts";
import { refusals, type SlotOptions, type SlotParams, slotMaker } from "./slots.ts";

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

export type MemoryCompressedParams = AttentionParams & SlotParams;

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
  const { causal, rule = strictlyPast, dropoutRate = 0 } = options;
  const { factor, compress } = { ...defaults, ...options };
  const name = "memory-compressed";
  if (!Number.isInteger(factor) || factor < 1)
    throw new RangeError(`${name}: expected a factor of at least 1, got ${factor}`);
  const projections = headProjections(name, options);
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = projections;
  const last = causal ? "dropped" : (options.last ?? "filled");
  const own: SlotOptions = { ...options, factor, compress, rule, last };
  const slots = slotMaker(own, projections);
  const pattern = causal ? slotsSeen(factor, rule) : fullPattern;
  return {
    name,
    sees: causal ? "earlier" : "all",
    init: (random): Concrete<MemoryCompressedParams> => {
      const [q, k, v, o, a] = splitKey(random, 5);
      return { query: initHeads(q!), key: initHeads(k!), value: initHeads(v!), out: initOut(o!), ...slots.init(a!) };
    },
    apply: (params, input, context) => {
      oneSequence(name, input);
      const { x, view } = input;
      requireSupport(name, view, refusals);
      const [, length] = x.shape as [number, number];
      const all = slots.all(params, x, view.keyMask && cast(view.keyMask, "float32"));
      if (all === undefined) throw new RangeError(`${name}: no complete block of ${factor} among ${length} positions`);
      const keys = all.key.shape[2]!;
      const { mixed, map } = attend(toHeads(params.query, x), all, {
        view: makeView({ pattern, queries: length, keys, ...present({ keyMask: all.filled }) }),
        scale: 1 / Math.sqrt(headWidth),
        dropoutRate,
        context,
      });
      const first = causal ? rule.first : params.first && "learned";
      return {
        y: fromHeads(params.out, mixed, context),
        map: () => overPositions(map(), keys, { factor, length, first }),
      };
    },
    ...(causal && {
      recurrent: memoryCompressedRecurrent(name, own, projections, slots) as Recurrent<never, never>,
    }),
  };
}

const defaults = { factor: 3, compress: "inputs" } as const;

type SlotPositions = {
  readonly factor: number;
  readonly length: number;
  readonly first: "position" | "learned" | undefined;
};

/** Turns a map over slots into one over positions. */
function overPositions({ weights, keys }: AttentionMap, slots: number, of: SlotPositions): AttentionMap {
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
