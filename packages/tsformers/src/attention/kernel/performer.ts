import * as z from "zod";
import type { Mixer } from "../../kinds/index.ts";
import { headWidthOf } from "../../nn/sizes.ts";
import { positionCount, stepCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { exactly } from "./denominator.ts";
import { draws } from "./drawn-features.ts";
import { generalised, hyperbolic, positive, type RandomFeatures, trigonometric } from "./favor-features.ts";
import { type KernelMixerOptions, type KernelMixerParams, kernelMixer, kernelRefusals } from "./kernel-mixer.ts";
import { type Draw, equalLengths, gaussianRows, orthogonalRows } from "./random-rows.ts";

export type PerformerOptions = KernelMixerOptions & {
  /** Number of rows drawn. Default: D·ln D, rounded. Hyperbolic and trigonometric features are twice as many. */
  readonly features?: number;
  /** Random features. Default: {@link positive} features of the softmax kernel. */
  readonly kernel?: RandomFeatures;
  /** How rows are drawn. Default: {@link orthogonalRows} with the lengths of normal vectors. */
  readonly draw?: Draw;
  /** Training passes after which rows are drawn again; `Infinity` for never. Default: 1,000. */
  readonly redrawEvery?: number;
};

const defaults = { redrawEvery: 1000 };

/**
 * FAVOR+: softmax attention estimated with random features, `exp(q·k/√D) ≈ φ(q)·φ(k)`, in linear time.
 *
 * All heads share the same rows. Rotary positions rotate queries and keys before the feature map, so that softmax attention with
 * rotary positions is what is estimated. Weights sum to 1; a query gives 0 if its features and those of all its keys have less than
 * e⁻⁶⁹ in common, at logits of some −300.
 *
 * @shape  x [B, T, C] → y [B, T, C]; training state: the rows [M, D], their key, the passes so far
 * @cost   O(B·H·T·M·D) time, O(B·H·T·M) memory
 * @source Choromanski et al. 2021, "Rethinking Attention with Performers", arXiv:2009.14794
 * @differs no ε in features or denominator, and in the causal form no maximum over later keys: see {@link positive}. The authors
 *   draw new rows at every step; here they stay for 1,000, as in the best-known PyTorch code, which saves time
 */
export function performer(options: PerformerOptions): Mixer<KernelMixerParams<never>> {
  const name = "performer";
  const headWidth = headWidthOf(name, options);
  const {
    features: rows = Math.max(1, Math.round(headWidth * Math.log(headWidth))),
    redrawEvery = defaults.redrawEvery,
  } = options;
  if (!(Number.isInteger(rows) && rows > 0))
    throw new RangeError(`${name}: expected a positive number of features, got ${rows}`);
  const kernel = options.kernel ?? positive();
  return kernelMixer(
    {
      name,
      features: kernel.count(rows),
      draws: draws(
        options.draw ?? orthogonalRows(),
        [rows, headWidth],
        redrawEvery === Infinity ? {} : { every: redrawEvery },
      ),
      map: (_, directions) => kernel.map(directions!),
      denominator: exactly,
      turns: "vectors",
      ...present({ raised: kernel.raised }),
    },
    options,
  );
}

export type PerformerSettings = {
  readonly features?: number;
  readonly kernel?: "positive" | "hyperbolic" | "trigonometric" | "relu";
  readonly rows?: "orthogonal" | "orthogonal of equal length" | "independent";
  readonly redrawEvery?: number | null;
};

export const performerEntry: MixerEntry<"performer", PerformerSettings> = /* @__PURE__ */ mixerEntry({
  name: "performer",
  title: "Performer (FAVOR+)",
  year: 2021,
  paper: "Choromanski et al. 2021, Rethinking Attention with Performers, arXiv:2009.14794",
  summary: "softmax attention estimated with positive orthogonal random features (FAVOR+)",
  formula: "exp(q·k/√d) ≈ φ(q)·φ(k), φ(x) = M^−½ exp(Ωx − ½|x|²)",
  cost: "O(n·m·d) time, O(n·(m + d)) memory",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  refuses: kernelRefusals,
  decodeState: "stays the same",
  options: () =>
    z.strictObject({
      features: positionCount().optional().describe("how many directions are drawn. Default: D·ln D"),
      kernel: z
        .enum(["positive", "hyperbolic", "trigonometric", "relu"])
        .default("positive")
        .describe("what is estimated and how: softmax in three ways, or the ReLU kernel"),
      rows: z
        .enum(["orthogonal", "orthogonal of equal length", "independent"])
        .default("orthogonal")
        .describe("how directions are drawn"),
      redrawEvery: stepCount()
        .nullable()
        .default(defaults.redrawEvery)
        .describe("training passes between draws; null for never"),
    }),
  make: ({ features, kernel, rows, redrawEvery }, context) => {
    const kernels = {
      positive: positive(),
      hyperbolic: hyperbolic(),
      trigonometric: trigonometric(),
      relu: generalised(),
    };
    const draws = {
      orthogonal: orthogonalRows(),
      "orthogonal of equal length": orthogonalRows(equalLengths),
      independent: gaussianRows,
    };
    return performer({
      ...context,
      ...present({ features }),
      kernel: kernels[kernel],
      draw: draws[rows],
      redrawEvery: redrawEvery ?? Number.POSITIVE_INFINITY,
    });
  },
});
