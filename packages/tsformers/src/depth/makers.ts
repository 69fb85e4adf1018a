import * as z from "zod";
import type { BlockParts } from "../blocks/block.ts";
import type { Block, Depth, Layer } from "../kinds/index.ts";
import type { NormParams } from "../nn/norm.ts";
import { passCount } from "../schema/count.ts";
import type { NoSettings } from "../schema/entry.ts";
import { leakyAverage, weightedSum } from "./act.ts";
import { type DepthEntry, depthEntry } from "./depth-entry.ts";
import { type EarlyExitOptions, earlyExit } from "./early-exit.ts";
import { recomputed } from "./recomputed.ts";
import { meanOfStreams, type ReversibleBlock, reversible, reversibleBlock } from "./reversible.ts";
import { type SharedOptions, shared } from "./shared.ts";
import { blockStack, type StackParams } from "./stack.ts";
import { defaultPonderWeight, type UniversalOptions, universal } from "./universal.ts";

/** How the blocks of a model follow one another, for models that leave the choice open. */
export type DepthMaker = {
  /** The block that it needs. Default: the model's own. */
  arrange?<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block;
  make(
    blocks: readonly Block[],
    options: { readonly finalNorm?: Layer<NormParams>; readonly modelWidth: number },
  ): Depth<StackParams>;
};

/** One after the other. */
export const stacked: DepthMaker = { make: (blocks, options) => blockStack(blocks, options) };

/** {@link shared} layers. */
export function sharing(options: Pick<SharedOptions, "groups" | "parts"> = {}): DepthMaker {
  return { make: (blocks, rest) => shared(blocks, { ...options, ...rest }) };
}

/** {@link reversible} blocks, the two streams averaged in the end so that the model keeps its width. */
export const reversing: DepthMaker = {
  arrange: (parts) => reversibleBlock(parts) as Block,
  make: (blocks, options) => reversible(blocks as readonly ReversibleBlock[], { ...options, merge: meanOfStreams }),
};

/** Blocks that are {@link recomputed} for the gradient. */
export const recomputing: DepthMaker = { make: (blocks, options) => blockStack(blocks.map(recomputed), options) };

/** The first block again and again, as many times as there are layers, each position until it halts: {@link universal}. */
export function repeating(options: Omit<UniversalOptions, "maxSteps" | "modelWidth" | "finalNorm"> = {}): DepthMaker {
  return { make: (blocks, rest) => universal(blocks[0]!, { ...options, ...rest, maxSteps: blocks.length }) };
}

/** A stack that positions leave early: {@link earlyExit}. */
export function exiting(options: Omit<EarlyExitOptions, "finalNorm">): DepthMaker {
  return { make: (blocks, rest) => earlyExit(blocks, { ...options, ...rest }) };
}

export const stackEntry: DepthEntry<"stack", NoSettings> = /* @__PURE__ */ depthEntry({
  name: "stack",
  title: "Stack",
  year: 2017,
  paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
  summary: "blocks one after the other",
  formula: "x ← block_n(x), n = 1 … N",
  cost: "N blocks",
  options: () => z.strictObject({}),
  make: () => stacked,
});

export type SharedSettings = {
  readonly groups?: number;
  readonly share?: "blocks" | "attention" | "feed-forward";
};

export const sharedEntry: DepthEntry<"shared", SharedSettings> = /* @__PURE__ */ depthEntry({
  name: "shared",
  title: "Shared layers (ALBERT)",
  year: 2020,
  paper: "Lan et al. 2020, ALBERT, arXiv:1909.11942",
  summary: "layers share one block, or a few, or a part of it",
  formula: "x ← block_{⌊n·G/N⌋}(x)",
  cost: "time of N blocks, parameters of G",
  options: () =>
    z.strictObject({
      groups: passCount().default(1).describe("blocks that neighbouring layers share"),
      share: z
        .enum(["blocks", "attention", "feed-forward"])
        .default("blocks")
        .describe("what layers share: whole blocks, or one part of them with a rest of their own"),
    }),
  make: ({ groups, share }) => {
    if (share === "blocks") return sharing({ groups });
    return sharing({ parts: share === "attention" ? ["mixer", "mixerNorm"] : ["ffn", "ffnNorm"] });
  },
});

export const reversibleEntry: DepthEntry<"reversible", NoSettings> = /* @__PURE__ */ depthEntry({
  name: "reversible",
  title: "Reversible blocks",
  year: 2020,
  paper: "Kitaev, Kaiser & Levskaya 2020, Reformer, arXiv:2001.04451",
  summary: "two residual streams that are undone for the gradient instead of kept",
  formula: "y₁ = x₁ + mixer(norm(x₂)), y₂ = x₂ + ffn(norm(y₁))",
  cost: "one more forward pass; activations of one block, whatever the depth",
  options: () => z.strictObject({}),
  make: () => reversing,
});

export const recomputedEntry: DepthEntry<"recomputed", NoSettings> = /* @__PURE__ */ depthEntry({
  name: "recomputed",
  title: "Recomputed blocks",
  year: 2016,
  paper: "Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174",
  summary: "of each block only the input is kept; its inside is computed again for the gradient",
  formula: "x ← block_n(x), activations of one block at a time",
  cost: "one more forward pass; activations of one block, and [B, T, C] for each",
  options: () => z.strictObject({}),
  make: () => recomputing,
});

export type UniversalSettings = {
  readonly epsilon?: number;
  readonly update?: "sum" | "leaky average";
  readonly keepsHalted?: boolean;
  readonly ponderWeight?: number;
};

export const universalEntry: DepthEntry<"universal", UniversalSettings> = /* @__PURE__ */ depthEntry({
  name: "universal",
  title: "Universal Transformer with adaptive computation time",
  year: 2019,
  paper: "Dehghani et al. 2019, Universal Transformers, arXiv:1807.03819",
  summary: "one block again and again, until each position halts; as many times as there are layers at most",
  formula: "p = σ(w·s + b); s ← block(s) until Σp > 1 − ε; y = Σ w_n·s_n",
  cost: "time of N blocks, parameters of one; adds the loss ponder",
  options: () =>
    z.strictObject({
      epsilon: z
        .number()
        .min(0)
        .lt(1)
        .default(0.01)
        .describe("a position halts when its probabilities add up to more than 1 less this"),
      update: z
        .enum(["sum", "leaky average"])
        .default("sum")
        .describe("how states enter the result: the paper's weighted sum, or Tensor2Tensor's leaky average"),
      keepsHalted: z.boolean().default(false).describe("whether positions that halted keep their state for the others"),
      ponderWeight: z.number().nonnegative().default(defaultPonderWeight).describe("weight of the ponder loss"),
    }),
  make: ({ update, keepsHalted, ...settings }) =>
    repeating({
      ...settings,
      update: update === "sum" ? weightedSum : leakyAverage,
      ...(keepsHalted && { keepsHalted }),
    }),
});

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
