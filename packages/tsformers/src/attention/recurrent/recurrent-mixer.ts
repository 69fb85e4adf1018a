import {
  type Concrete,
  cast,
  expandDims,
  full,
  mul,
  type NDArray,
  type RandomKey,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import type { Context, Mixer, Recurrent, View } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Initial } from "../../nn/initial.ts";
import { headWidthOf, requireCounts, requireRate } from "../../nn/sizes.ts";
import { positionCount, widthCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { oneSequence, realAt } from "../core/head-projections.ts";
import { type Refusals, requireSupport } from "../core/require-support.ts";
import { linearRecurrence, type RecurrenceInput, recurrenceWeights } from "./linear-recurrence.ts";
import { runRecurrence } from "./run-recurrence.ts";

export type RecurrentMixerOptions = {
  readonly modelWidth: number;
  readonly heads: number;
  /** K, width of a head's queries and keys. */
  readonly keyWidth?: number;
  /** D, width of a head's values. */
  readonly valueWidth?: number;
  /** W, positions that are computed at once, rounded up to a power of two. Default: 32. */
  readonly chunk?: number;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
};

/** What the entries of these mixers say alike. */
export const aboutRecurrent = {
  cost: "O(n·(w + d/h)·d) time, O(n·(w + d²/(h·w))) memory",
  exponent: 1,
  directions: ["causal"],
  averages: false,
  decodeState: "stays the same",
} as const;

/** The option for the positions of a chunk. */
export const chunkOption = (): z.ZodDefault<z.ZodInt> =>
  positionCount().default(32).describe("positions that are computed at once");

/** The options of mixers that choose the widths of their heads. @param usualKeys the default of K, in words; D is twice that */
export function recurrentOptions(usualKeys: string): z.ZodObject<{
  keyWidth: z.ZodOptional<z.ZodInt>;
  valueWidth: z.ZodOptional<z.ZodInt>;
  chunk: z.ZodDefault<z.ZodInt>;
}> {
  return z.strictObject({
    keyWidth: widthCount().optional().describe(`features of a head's keys. Default: ${usualKeys}`),
    valueWidth: widthCount().optional().describe("features of a head's values. Default: twice as many"),
    chunk: chunkOption(),
  });
}

export type RecurrentSizes = { readonly heads: number; readonly keyWidth: number; readonly valueWidth: number };

/**
 * Sizes of the heads, with those that a paper chooses in place of absent ones.
 *
 * @param usual from modelWidth / heads, and from K
 * @throws RangeError when a size is not a whole number, or the heads do not divide the width that they are to share
 */
export function recurrentSizes(
  name: string,
  options: RecurrentMixerOptions,
  usual: { readonly keyWidth: (headWidth: number) => number; readonly valueWidth: (keyWidth: number) => number },
): RecurrentSizes {
  const { modelWidth, heads, dropoutRate = 0, chunk = 1 } = options;
  requireCounts(name, { modelWidth, heads });
  const keyWidth =
    options.keyWidth ?? Math.max(1, Math.floor(usual.keyWidth(headWidthOf(name, { modelWidth, heads }))));
  const valueWidth = options.valueWidth ?? usual.valueWidth(keyWidth);
  requireCounts(name, { keyWidth, valueWidth, chunk });
  requireRate(name, dropoutRate);
  return { heads, keyWidth, valueWidth };
}

/** What distinguishes one mixer of a {@link linearRecurrence} from another. */
export type RecurrentParts<Params> = {
  readonly name: string;
  readonly refuses: Refusals;
  readonly sizes: RecurrentSizes;
  readonly chunk: number | undefined;
  /** Positions and features of what decoding keeps of the latest inputs. Absent: nothing. */
  readonly recent?: readonly [positions: number, features: number];
  init(key: RandomKey): Concrete<Params>;
  /** What positions x write and ask, in float32, and what is to be kept of the latest inputs. */
  look(params: Params, at: LookedAt): { readonly input: RecurrenceInput; readonly recent?: Tensor };
  /** What was mixed for x, [B, H, T, D] → y [B, T, C]. */
  out(params: Params, mixed: Tensor, x: Tensor, context: Context): Tensor;
};

export type LookedAt = {
  /** [B, T, C] */
  readonly x: Tensor;
  readonly view: View;
  /** 1 for real positions, 0 for padding, [B, T]. Default: all are real. */
  readonly real?: Tensor;
  /** What was kept of the inputs before. Default: zeros. */
  readonly recent?: Tensor;
};

/** Decode state: the memory [B, H, K, D], and the latest inputs where a mixer looks at them. */
export type RecurrentState = { memory: Tensor; recent?: Tensor };

/**
 * A mixer of a {@link linearRecurrence}: whole sequences in chunks, decoding one position after the other. Where no gradient
 * is wanted, ONNX Runtime's own operator does both ({@link runRecurrence}). Padding writes nothing and lets
 * nothing decay.
 *
 * @shape  x [B, T, C] → y [B, T, C]; decode state [B, H, K, D]
 * @cost   `map()` computes T × T weights when called
 */
export function recurrentMixer<Params>(parts: RecurrentParts<Params>): Mixer<Params> {
  const { name, refuses, sizes, chunk, look, out } = parts;
  const { heads, keyWidth, valueWidth } = sizes;
  const recurrent: Recurrent<Params, RecurrentState> = {
    start: (batch) => ({
      memory: full([batch, heads, keyWidth, valueWidth], 0),
      ...(parts.recent !== undefined && { recent: full([batch, ...parts.recent], 0) as NDArray }),
    }),
    step: (params, x, { memory, recent }, { position, view }) => {
      requireSupport(name, view, refuses);
      const real = realAt(view.keyMask, position);
      const own = look(params, { x, view, ...present({ real, recent }) });
      const next = runRecurrence(real === undefined ? own.input : onlyReal(own.input, real), { state: memory });
      const y = out(params, cast(next.mixed, x.dtype), x, evaluation);
      return { y, state: { memory: next.state, ...present({ recent: own.recent }) } };
    },
  };
  return {
    name,
    sees: "earlier",
    init: parts.init,
    apply: (params, given, context) => {
      oneSequence(name, given);
      const { x, view } = given;
      requireSupport(name, view, refuses);
      const real = view.keyMask && cast(view.keyMask, "float32");
      const { input } = look(params, { x, view, ...present({ real }) });
      const own = real === undefined ? input : onlyReal(input, real);
      // Training keeps what the chunks have computed for the gradient.
      const { mixed } = (context.key === undefined ? runRecurrence : linearRecurrence)(own, present({ chunk }));
      return {
        y: out(params, cast(mixed, x.dtype), x, context),
        map: () => ({ weights: recurrenceWeights(own, chunk) }),
      };
    },
    recurrent: recurrent as unknown as Recurrent<Params, never>,
  };
}

/** real [B, T] */
function onlyReal(input: RecurrenceInput, real: Tensor): RecurrenceInput {
  const { k, beta, logDecay } = input;
  const ofHeads = expandDims(real, 1);
  const ofFeatures = expandDims(ofHeads, -1);
  return {
    ...input,
    ...(beta === undefined ? { k: mul(k, ofFeatures) } : { beta: mul(beta, ofHeads) }),
    ...(logDecay !== undefined && {
      logDecay: mul(logDecay, logDecay.shape.length === 3 ? ofHeads : ofFeatures),
    }),
  };
}
