import * as z from "zod";
import type { DepthMaker } from "../depth/makers.ts";
import type { LayerPatterns, Mixer, PositionScheme } from "../kinds/index.ts";
import { count, positionCount, widthCount } from "../schema/count.ts";
import { parseOptions } from "../schema/parse-options.ts";
import type { LanguageModel } from "./language-model.ts";
import type { SequenceToSequence } from "./sequence-to-sequence.ts";

/** What a model may leave open, each to be chosen from the catalogue of its kind. */
export type PartName = "mixer" | "pattern" | "position" | "depth";

/** The parts that were chosen, made; what is absent is the model's own. */
export type ModelParts = {
  readonly mixer?: (layer: number) => Mixer<unknown>;
  readonly pattern?: LayerPatterns;
  readonly scheme?: PositionScheme;
  readonly depth?: DepthMaker;
};

type About = {
  readonly title: string;
  readonly year: number;
  readonly paper: string;
  readonly category: "decoder" | "encoder" | "encoder-decoder";
  readonly summary: string;
  readonly formula: string;
  /** Of the attention part. */
  readonly cost: string;
  /** Whether outputs depend on earlier inputs only, so that the model can generate. */
  readonly causal: boolean;
  /** Which parts the model leaves open; the others are its own. */
  readonly parts: readonly PartName[];
  /** What may be set; every option has a description, and unknown ones are errors. */
  options(): z.ZodObject;
};

/** Predicts each next token. */
export type DecoderEntry = About & {
  readonly category: "decoder";
  /** Checks the options and makes the model. @throws RangeError naming what does not fit */
  load(options: unknown, parts?: ModelParts): Promise<LanguageModel>;
};

/** Fills in hidden tokens from both sides. */
export type EncoderEntry = About & {
  readonly category: "encoder";
  load(options: unknown, parts?: ModelParts): Promise<LanguageModel>;
};

/** Writes one sequence while reading another. */
export type EncoderDecoderEntry = About & {
  readonly category: "encoder-decoder";
  load(options: unknown, parts?: ModelParts): Promise<SequenceToSequence>;
};

/** A system as the catalogue knows it, before its code is loaded. */
export type ModelEntry = DecoderEntry | EncoderEntry | EncoderDecoderEntry;

export type ModelName =
  | "gpt"
  | "openai-gpt"
  | "bloom"
  | "mpt"
  | "gptj"
  | "gpt-neox"
  | "ctrl"
  | "llama"
  | "bert"
  | "roformer"
  | "transformer"
  | "t5";

const vocabularySize = count(2 ** 31 - 1, "tokens are counted in 32 bits").describe(
  "how many different tokens there are",
);
const layers = count(128, "deeper graphs take ONNX Runtime too long to prepare")
  .default(4)
  .describe("how many blocks follow each other");
const modelWidth = widthCount().default(256).describe("features of a position between blocks");
const heads = widthCount().default(4).describe("attention heads of a block");
const length = positionCount().default(128).describe("positions that a learned table covers");
const ffnWidth = count(131_072, "wider matrices do not fit an array")
  .optional()
  .describe("hidden features of the feed-forward network; 4 × modelWidth unless given");
const dropoutRate = z.number().min(0).max(0.9).default(0).describe("share of activations dropped in training");
const common = { vocabularySize, layers, modelWidth, heads, dropoutRate };

const openParts: readonly PartName[] = ["mixer", "pattern", "position"];

const attentionCost = "O(B·H·T²·D) time, O(B·H·T²) memory";

/** Every system by name. Their code is loaded when a model is made. */
export const models: Readonly<Record<ModelName, ModelEntry>> = {
  gpt: decoder("gpt", z.strictObject({ ...common, length, ffnWidth }), {
    title: "GPT-2",
    year: 2019,
    paper: "Radford et al. 2019, Language Models are Unsupervised Multitask Learners",
    summary: "pre-norm decoder; takes any position scheme, learned positions by itself",
    formula: "x ← x + attention(norm(x)); x ← x + mlp(norm(x))",
    parts: openParts,
    make: async (options, parts) => (await import("./gpt.ts")).gpt({ ...present(options), ...parts }),
  }),
  "openai-gpt": decoder("openai-gpt", z.strictObject({ ...common, length }), {
    title: "GPT",
    year: 2018,
    paper: "Radford et al. 2018, Improving Language Understanding by Generative Pre-Training",
    summary: "post-norm decoder with learned positions",
    formula: "x ← norm(x + attention(x)); x ← norm(x + mlp(x))",
    make: async (options) => (await import("./openai-gpt.ts")).openAiGpt(options),
  }),
  bloom: decoder("bloom", z.strictObject(common), {
    title: "BLOOM",
    year: 2022,
    paper: "Le Scao et al. 2022, BLOOM: A 176B-Parameter Open-Access Multilingual Language Model, arXiv:2211.05100",
    summary: "ALiBi decoder with a norm after the embedding",
    formula: "logits[h,t,s] −= slope[h]·(t − s); x ← x + attention(norm(x)); x ← x + mlp(norm(x))",
    make: async (options) => (await import("./bloom.ts")).bloom(options),
  }),
  mpt: decoder("mpt", z.strictObject(common), {
    title: "MPT",
    year: 2023,
    paper: "MosaicML 2023, Introducing MPT-7B",
    summary: "ALiBi decoder without biases",
    formula: "logits[h,t,s] −= slope[h]·(t − s); x ← x + attention(norm(x)); x ← x + mlp(norm(x))",
    make: async (options) => (await import("./mpt.ts")).mpt(options),
  }),
  gptj: decoder("gptj", z.strictObject({ ...common, ffnWidth }), {
    title: "GPT-J",
    year: 2021,
    paper: "Wang & Komatsuzaki 2021, GPT-J-6B: A 6 Billion Parameter Autoregressive Language Model",
    summary: "rotary decoder; attention and feed-forward side by side on one norm",
    formula: "y = norm(x); x ← x + attention(y) + mlp(y)",
    make: async (options) => (await import("./gptj.ts")).gptJ(present(options)),
  }),
  "gpt-neox": decoder("gpt-neox", z.strictObject({ ...common, ffnWidth }), {
    title: "GPT-NeoX",
    year: 2022,
    paper: "Black et al. 2022, GPT-NeoX-20B: An Open-Source Autoregressive Language Model, arXiv:2204.06745",
    summary: "rotary decoder; attention and feed-forward side by side, each on its own norm",
    formula: "x ← x + attention(norm₁(x)) + mlp(norm₂(x))",
    make: async (options) => (await import("./gpt-neox.ts")).gptNeoX(present(options)),
  }),
  ctrl: decoder("ctrl", z.strictObject({ ...common, ffnWidth }), {
    title: "CTRL",
    year: 2019,
    paper:
      "Keskar et al. 2019, CTRL: A Conditional Transformer Language Model for Controllable Generation, arXiv:1909.05858",
    summary: "pre-norm ReLU decoder with sinusoidal positions",
    formula: "x = √C·token + PE; x ← x + attention(norm(x)); x ← x + mlp(norm(x))",
    make: async ({ ffnWidth, ...options }) =>
      (await import("./ctrl.ts")).ctrl({ ...options, ffnWidth: ffnWidth ?? 4 * options.modelWidth }),
  }),
  llama: decoder(
    "llama",
    z.strictObject({
      ...common,
      ffnWidth: ffnWidth.describe("hidden features of the feed-forward network; 8/3 × modelWidth unless given"),
      keyValueHeads: widthCount()
        .optional()
        .describe("heads of keys and values, each shared by several query heads; as many unless given"),
    }),
    {
      title: "Llama",
      year: 2023,
      paper: "Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models, arXiv:2302.13971",
      summary: "rotary decoder with RMS norms, SwiGLU and grouped-query attention",
      formula: "x ← x + attention(rms(x)); x ← x + (silu(x·W_g) ∘ x·W_in)·W_out",
      make: async ({ ffnWidth, ...options }) => {
        const { llama } = await import("./llama.ts");
        return llama({ ...present(options), ffnWidth: ffnWidth ?? Math.ceil((8 * options.modelWidth) / 3) });
      },
    },
  ),
  bert: encoder("bert", z.strictObject({ ...common, length, ffnWidth }), {
    title: "BERT",
    year: 2019,
    paper: "Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, arXiv:1810.04805",
    summary: "post-norm encoder that fills in masked tokens",
    formula: "x ← norm(x + attention(x)); x ← norm(x + mlp(x)); loss = −log p(masked tokens)",
    parts: openParts,
    make: async (options, parts) => (await import("./bert.ts")).bert({ ...present(options), ...parts }),
  }),
  roformer: encoder("roformer", z.strictObject({ ...common, ffnWidth }), {
    title: "RoFormer",
    year: 2021,
    paper: "Su et al. 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding, arXiv:2104.09864",
    summary: "BERT with rotary positions",
    formula: "q, k ← R(position)·q, R(position)·k; otherwise as BERT",
    make: async (options) => (await import("./roformer.ts")).roformer(present(options)),
  }),
  transformer: encoderDecoder("transformer", z.strictObject({ ...common, ffnWidth }), {
    title: "Transformer",
    year: 2017,
    paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    summary: "the original: a post-norm encoder and decoder with sinusoidal positions",
    formula: "attention(Q, K, V) = softmax(Q·Kᵀ/√D)·V; x ← norm(x + sublayer(x))",
    make: async (options) => (await import("./transformer.ts")).transformer(present(options)),
  }),
  t5: encoderDecoder("t5", z.strictObject({ ...common, ffnWidth }), {
    title: "T5",
    year: 2020,
    paper:
      "Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, arXiv:1910.10683",
    summary: "pre-norm encoder and decoder with learned biases over distances",
    formula: "logits[h,t,s] += table[bucket(s − t), h]; x ← x + sublayer(rms(x))",
    make: async (options) => (await import("./t5.ts")).t5(present(options)),
  }),
};

type Parts<O extends z.ZodObject, Model> = Omit<About, "options" | "category" | "cost" | "causal" | "parts"> & {
  readonly parts?: readonly PartName[];
  make(options: z.output<O>, parts: ModelParts): Promise<Model>;
};

function decoder<O extends z.ZodObject>(
  name: string,
  options: O,
  { make, parts = [], ...about }: Parts<O, LanguageModel>,
): DecoderEntry {
  const load: DecoderEntry["load"] = async (raw, given = {}) => make(parseOptions(options, raw, name), given);
  return { ...about, category: "decoder", cost: attentionCost, causal: true, parts, options: () => options, load };
}

function encoder<O extends z.ZodObject>(
  name: string,
  options: O,
  { make, parts = [], ...about }: Parts<O, LanguageModel>,
): EncoderEntry {
  const load: EncoderEntry["load"] = async (raw, given = {}) => make(parseOptions(options, raw, name), given);
  return { ...about, category: "encoder", cost: attentionCost, causal: false, parts, options: () => options, load };
}

function encoderDecoder<O extends z.ZodObject>(
  name: string,
  options: O,
  { make, parts = [], ...about }: Parts<O, SequenceToSequence>,
): EncoderDecoderEntry {
  const load: EncoderDecoderEntry["load"] = async (raw, given = {}) => make(parseOptions(options, raw, name), given);
  return {
    ...about,
    category: "encoder-decoder",
    cost: attentionCost,
    causal: true,
    parts,
    options: () => options,
    load,
  };
}

/** The options that were given: an absent one is absent, not undefined. */
function present<T extends Record<string, unknown>>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
