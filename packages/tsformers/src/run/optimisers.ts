import * as z from "zod";
import { parseOptions } from "../schema/parse-options.ts";
import type { Optimiser } from "../train/optimiser.ts";
import type { Choice } from "./catalogue.ts";

/** An optimiser as the catalogue knows it, before its code is loaded. */
export type OptimiserEntry = {
  readonly summary: string;
  readonly formula: string;
  readonly paper: string;
  readonly cost: string;
  options(): z.ZodObject;
  load(options: unknown): Promise<Optimiser>;
};

export type OptimiserName = "adamw" | "sgd" | "adafactor" | "lion";

const fraction = z.number().min(0).lt(1);
const weightDecay = (standard: number): z.ZodDefault<z.ZodNumber> =>
  z.number().nonnegative().default(standard).describe("share of a matrix's weights lost per update, times the rate");

/** Every optimiser by name. */
export const optimisers: Readonly<Record<OptimiserName, OptimiserEntry>> = {
  adamw: entry(
    "adamw",
    z.strictObject({
      beta1: fraction.default(0.9).describe("memory of the mean gradient"),
      beta2: fraction.default(0.99).describe("memory of the mean squared gradient"),
      weightDecay: weightDecay(0.1),
    }),
    {
      summary: "Adam with decoupled weight decay",
      formula: "w ← (1 − ηλ)w − η·m̂/(√v̂ + ε)",
      paper: "Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101",
      cost: "2 numbers for each parameter",
      make: async (options) => (await import("../train/adamw.ts")).adamw(options),
    },
  ),
  sgd: entry(
    "sgd",
    z.strictObject({
      momentum: fraction.default(0.9).describe("memory of earlier gradients"),
      weightDecay: weightDecay(0),
    }),
    {
      summary: "stochastic gradient descent with momentum",
      formula: "velocity ← μ·velocity + g, w ← w − η·velocity",
      paper: "Sutskever et al. 2013, On the Importance of Initialization and Momentum in Deep Learning",
      cost: "1 number for each parameter",
      make: async (options) => (await import("../train/sgd.ts")).sgd(options),
    },
  ),
  adafactor: entry("adafactor", z.strictObject({ weightDecay: weightDecay(0) }), {
    summary: "Adam's second moment kept as a row and a column",
    formula: "V[i,j] ≈ row[i]·column[j]/mean(row), w ← w − η·g/√V",
    paper: "Shazeer & Stern 2018, Adafactor, arXiv:1804.04235",
    cost: "rows + columns numbers for each matrix",
    make: async (options) => (await import("../train/adafactor.ts")).adafactor(options),
  }),
  lion: entry(
    "lion",
    z.strictObject({
      beta1: fraction.default(0.9).describe("memory of the mean gradient"),
      beta2: fraction.default(0.99).describe("memory of the mean squared gradient"),
      weightDecay: weightDecay(0),
    }),
    {
      summary: "steps of one size in the direction that momentum and gradient agree on",
      formula: "w ← (1 − ηλ)w − η·sign(β₁m + (1 − β₁)g)",
      paper: "Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, arXiv:2302.06675",
      cost: "1 number for each parameter; wants rates 3 to 10 times smaller than AdamW's",
      make: async (options) => (await import("../train/lion.ts")).lion(options),
    },
  ),
};

/** The optimiser of a configuration. */
export async function makeOptimiser({ kind, ...options }: Choice): Promise<Optimiser> {
  return optimisers[kind as OptimiserName].load(options);
}

type EntryParts<O extends z.ZodObject> = Omit<OptimiserEntry, "options" | "load"> & {
  make(options: z.output<O>): Promise<Optimiser>;
};

function entry<O extends z.ZodObject>(name: string, options: O, { make, ...about }: EntryParts<O>): OptimiserEntry {
  return { ...about, options: () => options, load: async (raw) => make(parseOptions(options, raw, name)) };
}
