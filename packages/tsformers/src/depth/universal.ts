import { add, type Concrete, cast, full, mean, mul, reshape, sigmoid, splitKey, stopGradient } from "@tsformers/engine";
import * as z from "zod";
import type { Block, Depth } from "../kinds/index.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { present } from "../schema/present.ts";
import { adaptiveSteps, type HaltingOptions, leakyAverage, weightedSum } from "./act.ts";
import { type DepthEntry, type DepthMaker, depthEntry } from "./depth-entry.ts";
import type { StackParams } from "./layers.ts";
import { type FinalNorm, finalNormOf, openLayers } from "./layers.ts";

export type UniversalParams<BlockParams = unknown> = StackParams<BlockParams> & {
  /** [C, 1] and [1]. */
  halt: LinearParams;
};

export type UniversalOptions = FinalNorm &
  HaltingOptions & {
    readonly modelWidth: number;
    /** Of the ponder loss, `mean(updates + remainders)`. Default: 0.01. */
    readonly ponderWeight?: number;
    /** Where the bias of the halting probability starts. Default: 1, which halts early at first. */
    readonly startBias?: number;
  };

/** Weight of the ponder loss by default. */
export const defaultPonderWeight = 0.01;

/**
 * One block applied again and again, each position as often as it wants: {@link adaptiveSteps}. Vectors for the input of each layer
 * (`step-signals`) tell it position and step; they are added before the halting probability is read.
 *
 * `p = σ(w·s + b)`; the loss `ponder` is `0.01 · mean(updates + remainders)`, of which the gradient sees the remainders. In decoding each
 * step keeps a state of its own.
 *
 * @shape  x [B, T, C] → [B, T, C]
 * @cost   maxSteps times the block; its parameters once, and C + 1
 * @source Dehghani et al. 2019, "Universal Transformers", §2, arXiv:1807.03819
 */
export function universal<BlockParams>(
  block: Block<BlockParams>,
  options: UniversalOptions,
): Depth<UniversalParams<BlockParams>> {
  const { maxSteps, modelWidth, ponderWeight = defaultPonderWeight, startBias = 1 } = options;
  const toHalt = linear(modelWidth, 1);
  return {
    layers: Array.from({ length: maxSteps }, () => block),
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      const params = {
        blocks: [block.init(a!)],
        finalNorm: options.finalNorm?.init(c!),
        halt: { ...toHalt.init(b!), bias: full([1], startBias) },
      };
      return present(params) as unknown as Concrete<UniversalParams<BlockParams>>;
    },
    apply: (params, input, context) => {
      const layers = openLayers(input);
      const { result, steps, updates, remainders } = adaptiveSteps(
        input.x,
        {
          signal: (step, state) => layers.placed(step, state),
          halt: (state) => sigmoid(reshape(toHalt.apply(params.halt, state), state.shape.slice(0, -1))),
          transform: (step, state) => layers.run(step, block as Block, params.blocks[0], state, context),
        },
        options,
      );
      const out = layers.close(finalNormOf(options, params)(result));
      const ponder = mul(mean(add(stopGradient(updates), remainders)), ponderWeight);
      const hidden = [input.x, ...steps.slice(0, -1).map(({ state }) => state), out.x];
      return { ...out, hidden, steps: updates, losses: { ...out.losses, ponder: cast(ponder, "float32") } };
    },
  };
}

/** The first block again and again, as many times as there are layers, each position until it halts: {@link universal}. */
export function repeating(options: Omit<UniversalOptions, "maxSteps" | "modelWidth" | "finalNorm"> = {}): DepthMaker {
  return { make: (blocks, rest) => universal(blocks[0]!, { ...options, ...rest, maxSteps: blocks.length }) };
}

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
