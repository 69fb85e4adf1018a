import {
  add,
  and,
  cast,
  div,
  expandDims,
  less,
  maximum,
  mul,
  ones,
  sqrt,
  sum,
  type Tensor,
  where,
  zeros,
} from "@tsformers/engine";
import * as z from "zod";
import type { Block, Depth } from "../kinds/index.ts";
import { passCount } from "../schema/count.ts";
import { type DepthEntry, type DepthMaker, depthEntry } from "./depth-entry.ts";
import type { StackParams } from "./layers.ts";
import { completed, type FinalNorm, finalNormOf, openLayers } from "./layers.ts";
import { blockStack } from "./stack.ts";

/** How sure a layer is of a position that it changed from `before` to `after` [B, T, C]: float32 [B, T], 1 at most. */
export type Confidence = (before: Tensor, after: Tensor) => Tensor;

/**
 * The cosine between the states before and after a layer: where a layer changes little, later ones will hardly do more.
 *
 * @source Schuster et al. 2022, "Confident Adaptive Language Modeling", §3.4, arXiv:2207.07061
 */
export const saturation: Confidence = (before, after) => {
  const [a, b] = [cast(before, "float32"), cast(after, "float32")];
  const product = (x: Tensor, y: Tensor) => sum(mul(x, y), { axes: -1 });
  return div(product(a, b), maximum(sqrt(mul(product(a, a), product(b, b))), 1e-12));
};

export type EarlyExitOptions = FinalNorm & {
  /** A position whose confidence reaches it goes through no further layer. Above 1: none ever does. */
  readonly threshold: number;
  /** Layers that every position goes through. Default: 1. */
  readonly leastLayers?: number;
  /** Default: {@link saturation}. */
  readonly confidence?: Confidence;
};

/**
 * A stack that positions leave early: where a layer is confident, its state is copied up, so that later positions find keys and values of it
 * in every layer. In training, with dropout or without, every position goes through all layers; the exit is for evaluation and decoding.
 *
 * `steps` of the output says how many layers each position went through.
 *
 * @shape  x [B, T, C] → [B, T, C]
 * @cost   that of the stack: a static graph computes the layers that are left out; what is measured is how many those are
 * @source copied states: Elbayad et al. 2020, "Depth-Adaptive Transformer", §3, arXiv:1910.10073
 */
export function earlyExit<BlockParams>(
  blocks: readonly Block<BlockParams>[],
  options: EarlyExitOptions,
): Depth<StackParams<BlockParams>> {
  const { threshold, leastLayers = 1, confidence = saturation } = options;
  if (!(Number.isFinite(threshold) && Number.isInteger(leastLayers) && leastLayers >= 1)) {
    throw new RangeError(
      `earlyExit: expected a finite threshold and at least one layer, got ${threshold} and ${leastLayers}`,
    );
  }
  if (leastLayers > blocks.length)
    throw new RangeError(`earlyExit: ${leastLayers} layers at least, of ${blocks.length}`);
  return {
    ...blockStack(blocks, options),
    apply: (params, input, context) => {
      const layers = openLayers(input);
      const hidden = [input.x];
      const own = completed(blocks, params.blocks);
      const shape = input.x.shape.slice(0, -1);
      let isActive: Tensor = cast(ones(shape), "bool");
      let steps: Tensor = zeros(shape);
      blocks.forEach((block, i) => {
        const before = layers.placed(i, hidden[i]!);
        const after = layers.run(i, block as Block, own[i], before, context);
        hidden.push(where(expandDims(isActive, -1), after, hidden[i]!));
        steps = add(steps, cast(isActive, "float32"));
        if (context.key !== undefined || i + 1 < leastLayers) return;
        isActive = and(isActive, less(confidence(before, after), threshold));
      });
      const out = layers.close(finalNormOf(options, params)(hidden.at(-1)!));
      return { ...out, hidden: [...hidden.slice(0, -1), out.x], steps };
    },
  };
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
  cost: "N blocks: what is left out is counted, not skipped",
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
