import { mul } from "@tsformers/engine";
import * as z from "zod";
import type { PositionScheme } from "../kinds/index.ts";
import { requireEvenWidth, requireSizes } from "../nn/sizes.ts";
import { positionCount } from "../schema/count.ts";
import { parseOptions } from "../schema/parse-options.ts";

/** What a scheme must know of the model that it is built into. */
export type PositionContext = {
  readonly modelWidth: number;
  readonly heads: number;
  readonly layers: number;
  /** The longest row in training: what a table of learned positions covers. */
  readonly length: number;
};

/** A position scheme as the catalogue knows it, before its code is loaded. */
export type PositionEntry = {
  readonly summary: string;
  readonly formula: string;
  readonly paper: string;
  readonly cost: string;
  /** What happens beyond the training length. */
  readonly beyond: string;
  /** What may be set; every option has a description, and unknown ones are errors. */
  options(): z.ZodObject;
  /** Checks the options and makes the scheme. @throws RangeError naming what does not fit */
  load(options: unknown, context: PositionContext): Promise<PositionScheme>;
};

export type PositionName =
  | "none"
  | "sinusoidal"
  | "learned"
  | "axial"
  | "per-layer"
  | "step-signals"
  | "rotary"
  | "t5"
  | "alibi"
  | "shaw"
  | "transformer-xl"
  | "distance-aware"
  | "adaptive-span";

const base = z.number().positive().default(10_000).describe("longest wavelength is 2π times this");

/** The paper multiplies embeddings by √C instead, for which it starts them at 1/√C: the ratio of the two is the same. */
const scale = z
  .number()
  .positive()
  .default(0.02)
  .describe("height of the waves; 0.02 is the size of embedded tokens at the start, as in the paper");

const dropoutRate = z
  .number()
  .min(0)
  .lt(1)
  .default(0)
  .describe("with which probability a row or column of the grid loses its vector in training");

/** Every position scheme of decoders by name. Their code is loaded when a scheme is made. */
export const positions: Readonly<Record<PositionName, PositionEntry>> = {
  sinusoidal: entry("sinusoidal", z.strictObject({ base, scale }), {
    summary: "fixed waves added to the inputs",
    formula: "PE[p, 2k] = scale·sin(p·ω_k), PE[p, 2k+1] = scale·cos(p·ω_k), ω_k = base^(−2k/C)",
    paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    cost: "no parameters",
    beyond: "defined, but loss rises soon after the training length",
    make: async (options, { modelWidth }) => {
      requireEvenWidth("sinusoidal", modelWidth);
      const [{ sinusoidal }, { frequencies }] = await Promise.all([import("./sinusoidal.ts"), import("./angles.ts")]);
      const waves = sinusoidal(modelWidth, { frequencies: frequencies(modelWidth, options.base) });
      return {
        positions: {
          ...waves,
          apply: (params, at) => mul(waves.apply(params as Record<string, never>, at), options.scale),
        },
      };
    },
  }),
  learned: entry("learned", z.strictObject({}), {
    summary: "a trained vector for each position, added to the inputs",
    formula: "x[t] = token[t] + P[t], P [length, C]",
    paper: "Gehring et al. 2017, Convolutional Sequence to Sequence Learning, arXiv:1705.03122",
    cost: "length·C parameters",
    beyond: "undefined: positions past the table take its last vector; generation ends before them",
    make: async (_, { length, modelWidth }) => ({
      positions: (await import("./learned.ts")).learned(length, modelWidth),
    }),
  }),
  axial: entry("axial", z.strictObject({ dropoutRate }), {
    summary: "trained vectors for the row and the column of a grid that positions fill, added to the inputs",
    formula: "x[t] = token[t] + [E₁[⌊t / L₂⌋], E₂[t mod L₂]], L₁·L₂ ≥ length",
    paper: "Kitaev et al. 2020, Reformer, arXiv:2001.04451",
    cost: "(L₁ + L₂)·C/2 parameters, about √length·C",
    beyond: "undefined: positions past the grid take the vector of its last cell; generation ends before them",
    make: async (options, { length, modelWidth }) => {
      const { axial, axialGrid } = await import("./axial.ts");
      const half = Math.floor(modelWidth / 2);
      return { positions: axial({ grid: axialGrid(length), widths: [half, modelWidth - half], ...options }) };
    },
  }),
  "per-layer": entry("per-layer", z.strictObject({}), {
    summary: "a trained vector for each position and layer, added to the input of the layer",
    formula: "x_n[t] ← x_n[t] + P_n[t], P_n [length, C] for every layer n",
    paper: "Al-Rfou et al. 2018, Character-Level Language Modeling with Deeper Self-Attention, arXiv:1808.04444",
    cost: "layers·length·C parameters",
    beyond: "undefined: positions past the tables take their last vectors; generation ends before them",
    make: async (_, { layers, length, modelWidth }) => ({
      layerPositions: (await import("./learned-per-layer.ts")).learnedPerLayer(layers, length, modelWidth),
    }),
  }),
  "step-signals": entry("step-signals", z.strictObject({ base, scale }), {
    summary: "fixed waves of the position and of the layer's number, added to the input of every layer",
    formula: "x_n[t] ← x_n[t] + scale·(PE[t] + PE[n + 1])",
    paper: "Dehghani et al. 2019, Universal Transformers, arXiv:1807.03819",
    cost: "no parameters",
    beyond: "defined, as sinusoids are",
    make: async (options, { modelWidth }) => {
      const [{ stepSignals }, { frequencies }] = await Promise.all([
        import("./step-signals.ts"),
        import("./angles.ts"),
      ]);
      requireEvenWidth("step-signals", modelWidth);
      const waves = frequencies(modelWidth, options.base);
      return { layerPositions: stepSignals(modelWidth, { frequencies: waves, scale: options.scale }) };
    },
  }),
  rotary: entry(
    "rotary",
    z.strictObject({
      base,
      pairing: z.enum(["halves", "neighbours"]).default("halves").describe("which features turn together"),
      share: z.number().positive().max(1).default(1).describe("share of each head's features that turns"),
    }),
    {
      summary: "queries and keys turned by an angle in proportion to position",
      formula: "(x, y) → (x·cos pω − y·sin pω, x·sin pω + y·cos pω)",
      paper: "Su et al. 2021, RoFormer, arXiv:2104.09864",
      cost: "no parameters; O(B·H·T·D) a layer",
      beyond: "loss rises beyond the training length, more slowly than with sinusoids",
      make: async (options, { modelWidth, heads }) => {
        const { rotary, rotaryWidth, halves, neighbours } = await import("./rotary.ts");
        const headWidth = modelWidth / heads;
        const share = 2 * Math.max(1, Math.round((options.share * headWidth) / 2));
        const rotated = options.share === 1 || share > headWidth ? rotaryWidth({ modelWidth, heads }) : share;
        const pairing = options.pairing === "halves" ? halves : neighbours;
        return { rotation: rotary(headWidth, { pairing, rotated, base: options.base }) };
      },
    },
  ),
  t5: entry(
    "t5",
    z.strictObject({
      buckets: positionCount(4).default(32).describe("how many distances are told apart"),
      maxDistance: positionCount(8)
        .optional()
        .describe(
          "distances from here on share a bucket; a quarter of the training length (at least twice the exact ones) unless given",
        ),
    }),
    {
      summary: "a learned bias for each head and bucket of distances",
      formula: "logits[h,t,s] += table[bucket(t − s), h]",
      paper: "Raffel et al. 2020, Exploring the Limits of Transfer Learning (T5), arXiv:1910.10683",
      cost: "buckets·H parameters; O(B·H·T·S) a layer",
      beyond: "far distances share the last bucket; loss rises more slowly than with sinusoids or rotation",
      make: async ({ buckets, maxDistance }, { heads, length }) => {
        const { t5Bias, causalBuckets } = await import("./t5-bias.ts");
        // T5 itself: 128 of 512. A last bucket that training seldom meets would decide what happens beyond the training length.
        const distances = { buckets, maxDistance: maxDistance ?? Math.max(buckets, Math.ceil(length / 4)) };
        return { scores: t5Bias(heads, causalBuckets(distances), distances) };
      },
    },
  ),
  alibi: entry("alibi", z.strictObject({}), {
    summary: "logits fall linearly with distance, at a slope for each head",
    formula: "logits[h,t,s] −= 2^(−8(h+1)/H)·(t − s)",
    paper: "Press, Smith & Lewis 2022, Train Short, Test Long, arXiv:2108.12409",
    cost: "no parameters; O(B·H·T·S) a layer",
    beyond: "holds its loss at many times the training length",
    make: async (_, { heads }) => ({ scores: (await import("./alibi.ts")).alibi(heads) }),
  }),
  shaw: entry(
    "shaw",
    z.strictObject({
      maxDistance: positionCount().default(16).describe("distances from here on share a vector"),
      values: z.boolean().default(true).describe("whether values, too, get a vector by distance"),
    }),
    {
      summary: "a trained vector for each distance, added to the key and the value that a query sees there",
      formula: "logits = q_t·(k_s + a^K_d)/√D, y_t = Σ_s α_ts·(v_s + a^V_d), d = clip(s − t, −k, k)",
      paper: "Shaw et al. 2018, Self-Attention with Relative Position Representations, arXiv:1803.02155",
      cost: "2·(2k + 1)·D parameters a layer; O(B·H·T·min(S, T + 2k)·D) a layer",
      beyond: "defined: far distances share a vector",
      make: async (options, { layers, modelWidth, heads }) => {
        const [{ shaw }, { perLayer }] = await Promise.all([import("./shaw.ts"), import("./per-layer.ts")]);
        return { scores: perLayer(shaw({ headWidth: modelWidth / heads, ...options }), layers) };
      },
    },
  ),
  "transformer-xl": entry(
    "transformer-xl",
    z.strictObject({
      maxDistance: positionCount()
        .optional()
        .describe("distances from here on count as this one; all are told apart unless given"),
      untied: z.boolean().default(false).describe("whether every layer has its own biases u and v"),
    }),
    {
      summary: "keys made of sinusoids of the distance, and two biases in place of the query's position",
      formula: "logits = ((q_t + u)·k_s + (q_t + v)·W_R R_{t−s})/√D",
      paper: "Dai et al. 2019, Transformer-XL, arXiv:1901.02860",
      cost: "C² parameters a layer and 2·C; O(n·C² + B·H·T·(T + S)·D) a layer",
      beyond: "defined: sinusoids of longer distances",
      make: async ({ untied, maxDistance }, { layers, modelWidth, heads }) => {
        const { transformerXlScores: transformerXl } = await import("./transformer-xl.ts");
        const limit = maxDistance === undefined ? {} : { maxDistance };
        return { scores: transformerXl({ layers, modelWidth, heads, untied, ...limit }) };
      },
    },
  ),
  "distance-aware": entry("distance-aware", z.strictObject({}), {
    summary: "each head learns whether near or far positions matter to it",
    formula: "logits = relu(q_t·k_s)·f(w_h·(t − s))/√D, f(R) = (1 + e^v)/(1 + e^(v − R))",
    paper: "Wu et al. 2021, DA-Transformer, arXiv:2010.06925",
    cost: "2·H parameters a layer; O(B·H·T·(T + S)) a layer",
    beyond: "defined: the function of distance levels off",
    make: async (_, { layers, heads }) => {
      const [{ distanceAware }, { perLayer }] = await Promise.all([
        import("./distance-aware.ts"),
        import("./per-layer.ts"),
      ]);
      return { scores: perLayer(distanceAware(heads), layers) };
    },
  }),
  "adaptive-span": entry(
    "adaptive-span",
    z.strictObject({
      maxSpan: positionCount()
        .optional()
        .describe("the farthest a head may look back; the training length unless given"),
      ramp: z.number().positive().default(32).describe("over how many positions weights fade at the end of a span"),
      startShare: z.number().min(0).max(1).default(0).describe("the share of the farthest that spans start with"),
      keys: z.boolean().default(true).describe("whether distances have keys of their own"),
      penalty: z
        .number()
        .nonnegative()
        .default(2e-6)
        .describe("what a position of mean span costs in the loss of a layer"),
    }),
    {
      summary: "each head learns how far back it looks",
      formula: "a_ts ∝ m(x)·exp(q_t·(k_s + p_{t−s})/√D), m(x) = clip((R + z − x)/R, 0, 1), z = maxSpan·share_h",
      paper: "Sukhbaatar et al. 2019, Adaptive Attention Span in Transformers, arXiv:1905.07799",
      cost: "H + maxSpan·D parameters a layer; O(B·H·T·(T + S)·D) a layer",
      beyond: "defined: nothing beyond the spans is seen",
      make: async ({ maxSpan, ramp, startShare, keys, penalty }, { layers, length, modelWidth, heads }) => {
        const [{ adaptiveSpan }, { perLayer }] = await Promise.all([
          import("./adaptive-span.ts"),
          import("./per-layer.ts"),
        ]);
        const width = keys ? { keyWidth: modelWidth / heads } : {};
        const scheme = adaptiveSpan({ heads, maxSpan: maxSpan ?? length, ramp, startShare, penalty, ...width });
        return { scores: perLayer(scheme, layers) };
      },
    },
  ),
  none: entry("none", z.strictObject({}), {
    summary: "nothing but the causal mask tells positions apart",
    formula: "x[t] = token[t]",
    paper:
      "Haviv et al. 2022, Transformer Language Models without Positional Encodings Still Learn Positional Information, arXiv:2203.16634",
    cost: "nothing",
    beyond: "loss rises beyond the training length",
    make: async () => ({}),
  }),
};

type EntryParts<O extends z.ZodObject> = Omit<PositionEntry, "options" | "load"> & {
  make(options: z.output<O>, context: PositionContext): Promise<PositionScheme>;
};

function entry<O extends z.ZodObject>(name: string, options: O, { make, ...about }: EntryParts<O>): PositionEntry {
  return {
    ...about,
    options: () => options,
    load: async (raw, context) => {
      const { layers, length } = context;
      requireSizes(name, context, { layers, length });
      return make(parseOptions(options, raw, name), context);
    },
  };
}
