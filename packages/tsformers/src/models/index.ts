import * as z from "zod";
import type { DepthMaker } from "../depth/depth-entry.ts";
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
  | "t5"
  | "transformer-xl"
  | "universal-transformer"
  | "reformer"
  | "albert"
  | "longformer"
  | "bigbird"
  | "led";

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

const openParts: readonly PartName[] = ["mixer", "pattern", "position", "depth"];

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
  "transformer-xl": decoder(
    "transformer-xl",
    z.strictObject({
      ...common,
      ffnWidth,
      memoryLength: positionCount().default(128).describe("positions of earlier segments that each layer remembers"),
      sameLength: z
        .boolean()
        .default(false)
        .describe("whether every query sees as many positions, memoryLength in all"),
      maxDistance: positionCount()
        .optional()
        .describe("distances beyond it count as this one; all are told apart by default"),
    }),
    {
      title: "Transformer-XL",
      year: 2019,
      paper:
        "Dai et al. 2019, Transformer-XL: Attentive Language Models beyond a Fixed-Length Context, arXiv:1901.02860",
      summary: "a decoder whose layers remember earlier segments and tell positions by distance",
      formula: "h_n = block(h_{n−1}, [SG(m_{n−1}), h_{n−1}]); logits = ((q + u)·k + (q + v)·W_R R_d)/√D",
      make: async ({ sameLength, ...options }) =>
        (await import("./transformer-xl.ts")).transformerXl({ ...present(options), ...(sameLength && { sameLength }) }),
    },
  ),
  "universal-transformer": decoder(
    "universal-transformer",
    z.strictObject({
      ...common,
      layers: layers.default(6).describe("how often the block is applied at most"),
      ffnWidth,
      ponderWeight: z.number().nonnegative().default(0.01).describe("weight of the ponder loss"),
    }),
    {
      title: "Universal Transformer",
      year: 2019,
      paper: "Dehghani et al. 2019, Universal Transformers, arXiv:1807.03819",
      summary: "one block, applied to every position until it halts (ACT)",
      formula: "s ← block(s + PE[t] + PE[n]); stop when Σσ(w·s + b) > 1 − ε; y = Σ w_n·s_n",
      make: async (options) => (await import("./universal-transformer.ts")).universalTransformer(present(options)),
    },
  ),
  reformer: decoder(
    "reformer",
    z.strictObject({
      ...common,
      length,
      ffnWidth,
      rounds: count(1000, "each is a part of the graph").default(2).describe("how often tokens are hashed and sorted"),
      chunk: positionCount().default(64).describe("tokens in a chunk of the LSH layers"),
      localChunk: positionCount().default(64).describe("tokens in a chunk of the local layers"),
    }),
    {
      title: "Reformer",
      year: 2020,
      paper: "Kitaev, Kaiser & Levskaya 2020, Reformer: The Efficient Transformer, arXiv:2001.04451",
      summary: "reversible blocks, local and LSH attention in turn, axial positions",
      formula: "y₁ = x₁ + attention(norm(x₂)), y₂ = x₂ + ffn(norm(y₁))",
      make: async ({ rounds, chunk, ...options }) =>
        (await import("./reformer.ts")).reformer({ ...present(options), lsh: { rounds, chunk } }),
    },
  ),
  albert: encoder(
    "albert",
    z.strictObject({
      ...common,
      length,
      ffnWidth,
      embeddingWidth: widthCount()
        .default(128)
        .describe("features of the embeddings, which are projected to modelWidth"),
      groups: count(128, "a model has no more layers").default(1).describe("blocks that neighbouring layers share"),
    }),
    {
      title: "ALBERT",
      year: 2020,
      paper: "Lan et al. 2020, ALBERT: A Lite BERT for Self-supervised Learning, arXiv:1909.11942",
      summary: "BERT whose layers share one block, on narrow embeddings",
      formula: "x = norm(token + segment + position)·W; N times x ← block(x)",
      make: async (options) => (await import("./albert.ts")).albert(present(options)),
    },
  ),
  longformer: encoder(
    "longformer",
    z.strictObject({
      ...common,
      length,
      ffnWidth,
      window: positionCount(2).default(64).describe("positions that a query sees, half of them on each side"),
    }),
    {
      title: "Longformer",
      year: 2020,
      paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, arXiv:2004.05150",
      summary: "RoBERTa with a sliding window, and global tokens with projections of their own",
      formula: "y_t = softmax(q_t·k_S)·v_S, S = window(t) ∪ G; t ∈ G: softmax(q′_t·k′)·v′ over all",
      make: async ({ window, ...options }) =>
        (await import("./longformer.ts")).longformer({
          ...present(options),
          windows: Array.from({ length: options.layers }, () => window),
        }),
    },
  ),
  bigbird: encoder(
    "bigbird",
    z.strictObject({
      ...common,
      length,
      ffnWidth,
      block: positionCount().default(64).describe("positions in a block"),
      random: positionCount(0).default(3).describe("random blocks that each block of queries sees"),
    }),
    {
      title: "BigBird",
      year: 2020,
      paper: "Zaheer et al. 2020, Big Bird: Transformers for Longer Sequences, arXiv:2007.14062",
      summary: "BERT whose blocks see the ends, their neighbours and a few random blocks",
      formula: "S_i = {0, i − 1, i, i + 1, last} ∪ random(i), in blocks",
      make: async (options) => (await import("./bigbird.ts")).bigbird(present(options)),
    },
  ),
  led: encoderDecoder(
    "led",
    z.strictObject({
      ...common,
      length,
      ffnWidth,
      window: positionCount(2)
        .default(64)
        .describe("positions of the source that a query sees, half of them on each side"),
    }),
    {
      title: "LED",
      year: 2020,
      paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, §7, arXiv:2004.05150",
      summary: "an encoder-decoder whose encoder has Longformer's attention",
      formula: "encoder: Longformer's attention; decoder: causal attention, then attention to the source",
      make: async ({ window, length, ...options }) =>
        (await import("./led.ts")).led({
          ...present(options),
          sourceLength: length,
          targetLength: length,
          windows: Array.from({ length: options.layers }, () => window),
        }),
    },
  ),
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
