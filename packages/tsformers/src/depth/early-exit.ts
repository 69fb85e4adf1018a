import * as z from "zod";
import type { Block, Depth } from "../kinds/index.ts";
import { passCount } from "../schema/count.ts";
import { adaptiveDepth } from "./adaptive/adaptive-depth.ts";
import { type Confidence, confident, saturation } from "./adaptive/exit-rules.ts";
import { type DepthEntry, type DepthMaker, depthEntry } from "./depth-entry.ts";
import type { FinalNorm, StackParams } from "./layers.ts";

export type EarlyExitOptions = FinalNorm & {
  /** A position whose confidence reaches it goes through no further layer. Above 1: none ever does. */
  readonly threshold: number;
  /** Layers that every position goes through. Default: 1. */
  readonly leastLayers?: number;
  /** Default: {@link saturation}. */
  readonly confidence?: Confidence;
};

/**
 * A stack that positions leave where a layer is confident: {@link adaptiveDepth} with a rule that has no parameters. In training every position
 * goes through all layers, with dropout or without; the exit is for evaluation and decoding.
 *
 * @shape  x [B, T, C] → [B, T, C]
 * @source copied states: Elbayad et al. 2020, "Depth-Adaptive Transformer", §3, arXiv:1910.10073
 */
export function earlyExit<BlockParams>(
  blocks: readonly Block<BlockParams>[],
  options: EarlyExitOptions,
): Depth<StackParams<BlockParams>> {
  const { threshold, leastLayers = 1, confidence = saturation, ...rest } = options;
  if (!(Number.isFinite(threshold) && Number.isInteger(leastLayers) && leastLayers >= 1)) {
    throw new RangeError(
      `earlyExit: expected a finite threshold and at least one layer, got ${threshold} and ${leastLayers}`,
    );
  }
  const rule = confident(({ before, after }) => confidence(before, after), threshold);
  return adaptiveDepth(blocks, { ...rest, leastLayers, rule });
}

/** A stack that positions leave early: {@link earlyExit}. */
export function exiting(options: Omit<EarlyExitOptions, "finalNorm">): DepthMaker {
  return { make: (blocks, rest) => earlyExit(blocks, { ...options, ...rest }) };
}

export type EarlyExitSettings = { readonly threshold?: number; readonly leastLayers?: number };

export const earlyExitEntry: DepthEntry<"early-exit", EarlyExitSettings> = /* @__PURE__ */ depthEntry({
  name: "early-exit",
  title: "Early exit",
  year: 2022,
  paper: "Schuster et al. 2022, Confident Adaptive Language Modeling, arXiv:2207.07061",
  summary: "in evaluation, positions leave when a layer hardly changes them, and their state is copied up",
  formula: "stop at n when cos(x_{n−1}, x_n) ≥ λ",
  cost: "N blocks at most; in decoding, layers that no row needs are left out but for their keys and values",
  options: () =>
    z.strictObject({
      threshold: z
        .number()
        .min(-1)
        .max(2)
        .default(0.99)
        .describe("cosine from which a position leaves; above 1 none does"),
      leastLayers: passCount().default(1).describe("layers that every position goes through"),
    }),
  make: (settings) => exiting(settings),
});
