import { mul } from "@tsformers/engine";
import * as z from "zod";
import type { PositionScheme } from "../models/gpt.ts";

/** What a scheme must know of the model that it is built into. */
export type PositionContext = {
  readonly modelWidth: number;
  readonly heads: number;
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
  readonly options: z.ZodObject;
  /** Checks the options and makes the scheme. @throws z.ZodError when they do not fit `options` */
  load(options: unknown, context: PositionContext): Promise<PositionScheme>;
};

export type PositionName = "none" | "sinusoidal" | "learned" | "rotary" | "t5" | "alibi";

const base = z.number().positive().default(10_000).describe("longest wavelength is 2π times this");

/** The paper multiplies embeddings by √C instead, for which it starts them at 1/√C: the ratio of the two is the same. */
const scale = z
  .number()
  .positive()
  .default(0.02)
  .describe("height of the waves; 0.02 is the size of embedded tokens at the start, as in the paper");

/** Every position scheme of decoders by name. Their code is loaded when a scheme is made. */
export const positions: Readonly<Record<PositionName, PositionEntry>> = {
  sinusoidal: entry(z.strictObject({ base, scale }), {
    summary: "fixed waves added to the inputs",
    formula: "PE[p, 2k] = scale·sin(p·ω_k), PE[p, 2k+1] = scale·cos(p·ω_k), ω_k = base^(−2k/C)",
    paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    cost: "no parameters",
    beyond: "defined, but loss rises soon after the training length",
    make: async (options, { modelWidth }) => {
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
  learned: entry(z.strictObject({}), {
    summary: "a trained vector for each position, added to the inputs",
    formula: "x[t] = token[t] + P[t], P [length, C]",
    paper: "Gehring et al. 2017, Convolutional Sequence to Sequence Learning, arXiv:1705.03122",
    cost: "length·C parameters",
    beyond: "undefined: positions past the table take its last vector",
    make: async (_, { length, modelWidth }) => ({
      positions: (await import("./learned.ts")).learned(length, modelWidth),
    }),
  }),
  rotary: entry(
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
        const { rotary, halves, neighbours } = await import("./rotary.ts");
        const headWidth = modelWidth / heads;
        const rotated = 2 * Math.max(1, Math.round((options.share * headWidth) / 2));
        const pairing = options.pairing === "halves" ? halves : neighbours;
        return { rotation: rotary(headWidth, { pairing, rotated, base: options.base }) };
      },
    },
  ),
  t5: entry(
    z.strictObject({
      buckets: z.int().min(4).default(32).describe("how many distances are told apart"),
      maxDistance: z
        .int()
        .min(8)
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
  alibi: entry(z.strictObject({}), {
    summary: "logits fall linearly with distance, at a slope for each head",
    formula: "logits[h,t,s] −= 2^(−8(h+1)/H)·(t − s)",
    paper: "Press, Smith & Lewis 2022, Train Short, Test Long, arXiv:2108.12409",
    cost: "no parameters; O(B·H·T·S) a layer",
    beyond: "holds its loss at many times the training length",
    make: async (_, { heads }) => ({ scores: (await import("./alibi.ts")).alibi(heads) }),
  }),
  none: entry(z.strictObject({}), {
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

function entry<O extends z.ZodObject>(options: O, { make, ...about }: EntryParts<O>): PositionEntry {
  return { ...about, options, load: async (raw, context) => make(options.parse(raw ?? {}), context) };
}
