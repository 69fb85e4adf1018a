import * as z from "zod";
import type { Mixer } from "../kinds/index.ts";
import { headWidthOf, requireDirection, requireSizes } from "../nn/sizes.ts";
import { count, exactCount, positionCount, stepCount } from "../schema/count.ts";
import { parseOptions } from "../schema/parse-options.ts";
import type { LengthProjection } from "./linformer/linformer-projection.ts";
import type { LogitSource, Mixture } from "./synthesizer/synthetic-logits.ts";

/** What a mixer must know of the model that it is built into. */
export type MixerContext = {
  readonly modelWidth: number;
  readonly heads: number;
  /** The longest sequence. */
  readonly length: number;
  /** Whether a position may look ahead. */
  readonly causal: boolean;
  readonly dropoutRate?: number;
  /** Which layer of the stack it is for, from 0; the first unless told. */
  readonly layer?: number;
};

/** A mechanism as the catalogue knows it, before its code is loaded. */
export type MixerEntry = {
  readonly summary: string;
  readonly formula: string;
  readonly paper: string;
  /** Time and memory for a sequence of n positions. */
  readonly cost: string;
  /** The claimed exponent of n in time: 1 for linear, 1.5 for n√n, 2 for n². */
  readonly exponent: number;
  /** Which of the two ways it works in. */
  readonly directions: readonly ("causal" | "bidirectional")[];
  /** What may be set; every option has a description, and unknown ones are errors. */
  readonly options: z.ZodObject;
  /** Checks the options and makes the mixer. @throws RangeError naming what does not fit */
  load(options: unknown, context: MixerContext): Promise<Mixer>;
};

export type MixerName =
  | "etc"
  | "longformer"
  | "linear"
  | "performer"
  | "rfa"
  | "lsh"
  | "reformer-local"
  | "routing"
  | "sinkhorn"
  | "linformer"
  | "synthesizer"
  | "memory-compressed"
  | "induced-set"
  | "axial";

/** How often something is repeated: each time is a part of the graph. */
const passCount = () => count(1000, "each is a part of the graph");

/** Every mechanism by name, beside softmax attention over a pattern (`patterns/index.ts`). Their code is loaded when they are made. */
export const mixers: Readonly<Record<MixerName, MixerEntry>> = {
  etc: entry(
    "etc",
    z.strictObject({
      globals: positionCount().default(8).describe("how many positions in front are the global input"),
      radius: positionCount(0).default(84).describe("how far long positions see to each side"),
      furthestLabel: positionCount(0)
        .default(12)
        .describe("distances up to this have labels of their own; 0: no labels"),
    }),
    {
      summary: "two inputs: a short global one that sees all, a long one that sees it and its neighbours",
      formula: "softmax((q_i·k_j + q_i·P[id_ij] + b[id_ij])/√D)·v_j, long i: j ∈ G or |i − j| ≤ r; global i: all j",
      paper: "Ainslie et al. 2020, arXiv:2004.08483",
      cost: "O(n·(r + g)·d) time, O(n·d) memory",
      exponent: 1,
      directions: ["bidirectional"],
      make: async (options, context) =>
        (await import("./etc/etc-attention.ts")).etcAttention({ ...context, ...options }),
    },
  ),
  longformer: entry(
    "longformer",
    z.strictObject({
      window: positionCount().default(256).describe("half of it on each side; all before the query in the causal form"),
      globals: z.array(positionCount(0)).default([0]).describe("positions that see all and that all see"),
    }),
    {
      summary: "a sliding window, and global tokens with projections of their own",
      formula: "y_t = softmax(q_t·k_S)·v_S, S = window(t) ∪ G; t ∈ G: softmax(q′_t·k′)·v′ over all",
      paper: "Beltagy, Peters & Cohan 2020, arXiv:2004.05150",
      cost: "O(n·(w + g)·d) time, O(n·d) memory",
      exponent: 1,
      directions: ["bidirectional", "causal"],
      make: async (options, context) =>
        (await import("./softmax/longformer-attention.ts")).longformerAttention({ ...context, ...options }),
    },
  ),
  linear: entry(
    "linear",
    z.strictObject({
      featureMap: z.enum(["elu+1", "relu", "exp"]).default("elu+1").describe("what makes features of queries and keys"),
      epsilon: z.number().nonnegative().default(1e-6).describe("added to the sum of weights"),
      gated: z.boolean().default(false).describe("lets each head forget (causal only)"),
    }),
    {
      summary: "attention as a kernel of features: sums over keys and values that do not grow with the length",
      formula: "y_t = φ(q_t)·Σ_s φ(k_s) ⊗ v_s / (φ(q_t)·Σ_s φ(k_s) + ε)",
      paper: "Katharopoulos et al. 2020, arXiv:2006.16236",
      cost: "O(n·d²/h) time, O(n·d) memory",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async ({ featureMap, epsilon, gated }, context) => {
        const [{ linearAttention }, maps, { plus }] = await Promise.all([
          import("./kernel/linear-attention.ts"),
          import("./kernel/feature-map.ts"),
          import("./kernel/denominator.ts"),
        ]);
        const chosen = { "elu+1": maps.eluPlusOne, relu: maps.rectified(), exp: maps.exponential };
        return linearAttention({
          ...context,
          featureMap: chosen[featureMap],
          denominator: plus(epsilon),
          ...(gated ? { gated } : {}),
        });
      },
    },
  ),
  performer: entry(
    "performer",
    z.strictObject({
      features: positionCount().optional().describe("how many directions are drawn; D·ln D unless told"),
      kernel: z
        .enum(["positive", "hyperbolic", "trigonometric", "relu"])
        .default("positive")
        .describe("what is estimated and how: softmax in three ways, or the ReLU kernel"),
      rows: z
        .enum(["orthogonal", "orthogonal of equal length", "independent"])
        .default("orthogonal")
        .describe("how directions are drawn"),
      redrawEvery: stepCount().nullable().default(1000).describe("training passes between draws; null for never"),
    }),
    {
      summary: "softmax attention estimated with positive orthogonal random features (FAVOR+)",
      formula: "exp(q·k/√d) ≈ φ(q)·φ(k), φ(x) = M^−½ exp(Ωx − ½|x|²)",
      paper: "Choromanski et al. 2021, arXiv:2009.14794",
      cost: "O(n·m·d) time, O(n·(m + d)) memory",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async ({ features, kernel, rows, redrawEvery }, context) => {
        const [{ performer }, favor, random] = await Promise.all([
          import("./kernel/performer.ts"),
          import("./kernel/favor-features.ts"),
          import("./kernel/random-rows.ts"),
        ]);
        const stabilised = context.causal ? {} : { key: favor.largestOfAll };
        const kernels = {
          positive: favor.positive(stabilised),
          hyperbolic: favor.hyperbolic(stabilised),
          trigonometric: favor.trigonometric(),
          relu: favor.generalised(),
        };
        const draws = {
          orthogonal: random.orthogonalRows(),
          "orthogonal of equal length": random.orthogonalRows(random.equalLengths),
          independent: random.gaussianRows,
        };
        return performer({
          ...context,
          ...(features === undefined ? {} : { features }),
          kernel: kernels[kernel],
          draw: draws[rows],
          redrawEvery: redrawEvery ?? Number.POSITIVE_INFINITY,
        });
      },
    },
  ),
  rfa: entry(
    "rfa",
    z.strictObject({
      features: positionCount().optional().describe("how many directions are drawn for each head; D unless told"),
      kernel: z.enum(["gaussian", "arc-cosine"]).default("gaussian").describe("the kernel that is estimated"),
      gated: z.boolean().default(false).describe("lets each head forget (causal only)"),
      temperature: z.number().positive().default(1).describe("τ: directions are divided by it"),
      pool: exactCount().default(500).describe("of how many drawn matrices each training pass takes one"),
    }),
    {
      summary: "attention with a Gaussian kernel of normalised queries and keys, estimated with sines and cosines",
      formula: "y_t = φ(q_t)·S_t / φ(q_t)·z_t, S_t = g_t S_{t−1} + (1 − g_t) φ(k_t) ⊗ v_t, φ(x) = [sin Wx̂, cos Wx̂]",
      paper: "Peng et al. 2021, arXiv:2103.02143",
      cost: "O(n·m·d) time, O(n·(m + d)) memory",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async ({ features, kernel, gated, temperature, pool }, context) => {
        const { rfa, gaussianKernel, arcCosineKernel } = await import("./kernel/rfa.ts");
        return rfa({
          ...context,
          ...(features === undefined ? {} : { features }),
          kernel: kernel === "gaussian" ? gaussianKernel : arcCosineKernel,
          temperature,
          pool,
          ...(gated ? { gated } : {}),
        });
      },
    },
  ),
  lsh: entry(
    "lsh",
    z.strictObject({
      rounds: passCount().default(2).describe("how often tokens are hashed and sorted"),
      chunk: positionCount().default(64).describe("tokens in a chunk of the sorted order"),
      buckets: z
        .union([positionCount().multipleOf(2), z.array(positionCount().multipleOf(2)).nonempty()])
        .optional()
        .describe(
          "how many buckets, or even factors of it; about two for each chunk of the longest sequence unless told",
        ),
      sees: z
        .enum(["own bucket", "chunks"])
        .optional()
        .describe(
          "its bucket only, or all of its chunk and the one before; causal chunks let later tokens choose what earlier ones see, " +
            "so own bucket is the default there, and chunks otherwise",
        ),
      countsOnce: z.boolean().default(false).describe("counts a key once that is met in several rounds"),
      scaled: z.boolean().default(false).describe("divides logits by √d, though keys have unit length"),
      seed: exactCount(0).default(0).describe("of the rotations of evaluation and decoding"),
    }),
    {
      summary: "attention within buckets of alike tokens, found by hashing and sorting (Reformer)",
      formula: "h(x) = argmax([xR; −xR]); y_i = Σ_r Σ_{j ∈ P_i^r} exp(q_i·k_j) v_j / Z_i, k = q/|q|",
      paper: "Kitaev et al. 2020, arXiv:2001.04451",
      cost: "O(n·log n·r + n·r·c·d) time, O(n·d) memory",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async ({ rounds, chunk, buckets, sees, countsOnce, scaled, seed }, context) => {
        const [{ lshAttention }, reaches, { usualBuckets }] = await Promise.all([
          import("./lsh/lsh-attention.ts"),
          import("./lsh/lsh-reach.ts"),
          import("./lsh/lsh-hash.ts"),
        ]);
        const { causal, modelWidth, heads } = context;
        const inChunks = causal ? reaches.earlierInChunks : reaches.wholeChunks;
        const inBucket = causal ? reaches.ownBucket(chunk) : reaches.sameBucket(reaches.wholeChunks);
        return lshAttention({
          ...context,
          rounds,
          chunk,
          buckets: buckets ?? usualBuckets(context.length, chunk),
          reach: (sees ?? (causal ? "own bucket" : "chunks")) === "chunks" ? inChunks : inBucket,
          ...(countsOnce ? { countsOnce } : {}),
          scale: scaled ? Math.sqrt(heads / modelWidth) : 1,
          seed,
        });
      },
    },
  ),
  "reformer-local": entry(
    "reformer-local",
    z.strictObject({
      chunk: positionCount().default(128).describe("tokens in a chunk"),
    }),
    {
      summary: "softmax attention within the own chunk and the one before",
      formula: "S_i = {j : ⌊j/c⌋ ∈ {⌊i/c⌋ − 1, ⌊i/c⌋}}",
      paper: "Kitaev et al. 2020, arXiv:2001.04451",
      cost: "O(n·c·d) time, O(n·d) memory",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async ({ chunk }, context) => {
        const { reformerLocal } = await import("./softmax/reformer-local.ts");
        return reformerLocal({ ...context, chunk });
      },
    },
  ),
  routing: entry(
    "routing",
    z.strictObject({
      centroids: positionCount()
        .optional()
        .describe("clusters of each head; about √n of the longest sequence unless told"),
      window: positionCount()
        .optional()
        .describe("members of a cluster that are looked at; the longest sequence by centroids unless told"),
      members: z
        .enum(["nearest", "balanced"])
        .optional()
        .describe(
          "each token goes to its nearest centroid, or each centroid takes the tokens nearest to it; the latter is as published, but lets " +
            "later tokens choose what earlier ones see, so nearest is the default where causal, and the only one that decodes",
        ),
      measure: z
        .enum(["layer norm", "cosine"])
        .default("layer norm")
        .describe("how queries and keys are brought to a common length"),
      scale: z
        .number()
        .positive()
        .optional()
        .describe("factor of the logits; 1 after layer norm, 1/√d with cosine unless told"),
      selfLogit: z.number().optional().describe("in place of a token's logit with itself (causal only)"),
      decay: z.number().min(0).max(1).default(0.999).describe("of the running centroids, for each training step"),
      commitment: z
        .number()
        .nonnegative()
        .default(1e-4)
        .describe("β, weight of the loss that draws tokens to centroids"),
      localHeads: positionCount(0)
        .default(0)
        .describe(
          "heads that look at their own chunk and the one before instead; half of them in the paper's best models",
        ),
      localChunk: positionCount().default(128).describe("tokens in a chunk of the local heads"),
    }),
    {
      summary: "attention within clusters of tokens that are near the same running centroid",
      formula: "y_t = softmax(q_t·k_C)·v_C, C = {s : μ(s) = μ(t)}; q, k layer-normalised, k = q where causal",
      paper: "Roy et al. 2021, arXiv:2003.05997",
      cost: "O(n^1.5·d) time, O(n^1.5·h + n·d) memory",
      exponent: 1.5,
      directions: ["causal", "bidirectional"],
      make: async (options, context) => {
        const { members, measure, centroids, window, scale, selfLogit, localHeads, localChunk, ...rest } = options;
        const [{ balancedMembers, nearestMembers, routing }, { cosine, layerNormalised }] = await Promise.all([
          import("./routing/routing.ts"),
          import("./routing/routing-centroids.ts"),
        ]);
        const count = centroids ?? Math.max(1, Math.round(Math.sqrt(context.length)));
        if (localHeads >= context.heads) {
          throw new RangeError(
            `routing: expected fewer than all ${context.heads} heads to be local, got ${localHeads}`,
          );
        }
        const headWidth = headWidthOf("routing", context);
        const routed = routing({
          ...context,
          ...rest,
          heads: context.heads - localHeads,
          headWidth,
          centroids: count,
          window: window ?? Math.ceil(context.length / count),
          measure: measure === "cosine" ? cosine : layerNormalised,
          ...(members === undefined ? {} : { members: members === "nearest" ? nearestMembers : balancedMembers }),
          ...(scale === undefined ? {} : { scale }),
          ...(selfLogit === undefined ? {} : { selfLogit }),
        });
        if (localHeads === 0) return routed;
        const [{ headsBeside: sideBySide }, { reformerLocal }] = await Promise.all([
          import("./core/side-by-side.ts"),
          import("./softmax/reformer-local.ts"),
        ]);
        const local = reformerLocal({ ...context, heads: localHeads, headWidth, chunk: localChunk });
        return sideBySide({ local, routing: routed });
      },
    },
  ),
  sinkhorn: entry(
    "sinkhorn",
    z.strictObject({
      block: positionCount().optional().describe("tokens in a block; about √n of the longest sequence unless told"),
      iterations: passCount().default(8).describe("how often rows, then columns, are normalised"),
      temperature: z.number().positive().default(0.75).describe("what the sort logits are divided by"),
      noise: z.number().nonnegative().default(1).describe("factor of the Gumbel noise in training"),
      columns: z
        .enum(["so far", "whole"])
        .optional()
        .describe(
          "rows that columns are normalised over; whole ones depend on later tokens, so the rows so far are the default where causal, and " +
            "the only ones that decode",
        ),
      cut: positionCount().optional().describe("SortCut: all look at so many sorted blocks (bidirectional only)"),
      local: z.boolean().optional().describe("whether tokens look at their own block too; they do, save with SortCut"),
      sortWidth: positionCount().optional().describe("hidden width of the sorting network; that of a head unless told"),
    }),
    {
      summary: "attention within the own block and one sorted to it by a learned, balanced mixing of blocks",
      formula: "y = softmax(q·[S·K ‖ K]ᵀ/√d)·[S·V ‖ V], S = Sinkhorn((F₂·relu(F₁·Σ_block x) + g)/τ)",
      paper: "Tay et al. 2020, arXiv:2002.11296",
      cost: "O(n·(b + n/b)·d) time, O(n·(b + d)) memory, b = √n",
      exponent: 1.5,
      directions: ["causal", "bidirectional"],
      make: async ({ block, columns, cut, local, sortWidth, ...rest }, context) => {
        const [{ sinkhorn }, { overAllRows, overRowsSoFar }] = await Promise.all([
          import("./sinkhorn/sinkhorn.ts"),
          import("./sinkhorn/sinkhorn-balance.ts"),
        ]);
        return sinkhorn({
          ...context,
          ...rest,
          block: block ?? 2 ** Math.round(Math.log2(context.length) / 2),
          ...(columns === undefined ? {} : { columns: columns === "whole" ? overAllRows : overRowsSoFar }),
          ...(cut === undefined ? {} : { cut }),
          ...(local === undefined ? {} : { local }),
          ...(sortWidth === undefined ? {} : { sortWidth }),
        });
      },
    },
  ),
  linformer: entry(
    "linformer",
    z.strictObject({
      slots: z
        .union([positionCount(), z.array(positionCount()).min(1)])
        .default(256)
        .describe("how many slots the longest sequence fills, or a list of it for each layer"),
      projection: z
        .enum(["learned", "mean", "convolution"])
        .default("learned")
        .describe("how positions become slots: sums over all, means or learned sums over windows"),
      sharing: z
        .enum(["none", "headwise", "key-value", "layerwise"])
        .default("key-value")
        .describe(
          "what has a projection of its own: each head's keys and values, keys and values, each layer, the stack",
        ),
    }),
    {
      summary: "attention over a fixed number of slots that positions are summed into",
      formula: "softmax(q·(EK)ᵀ / √d)·(FV), E and F [k, n]",
      paper: "Wang et al. 2020, arXiv:2006.04768",
      cost: "O(n·k·d) time, O(n·k) memory",
      exponent: 1,
      directions: ["bidirectional"],
      make: async ({ slots, projection, sharing }, context) => {
        const [{ linformer }, kinds] = await Promise.all([
          import("./linformer/linformer.ts"),
          import("./linformer/linformer-projection.ts"),
        ]);
        const { length, layer = 0 } = context;
        const wanted = typeof slots === "number" ? slots : slots[Math.min(layer, slots.length - 1)]!;
        const size = { length, slots: Math.min(wanted, length) };
        const chosen: LengthProjection<unknown> = {
          learned: kinds.learnedProjection,
          mean: kinds.meanProjection,
          convolution: kinds.convolutionProjection,
        }[projection](size);
        return linformer({ ...context, projection: chosen, sharing });
      },
    },
  ),
  synthesizer: entry(
    "synthesizer",
    z.strictObject({
      logits: z
        .array(z.enum(["dense", "table", "fixed table", "factorised table", "factorised dense", "dot product"]))
        .min(1)
        .default(["dense"])
        .describe(
          "where logits come from: written by each position, tables (trained or drawn once), or queries and keys",
        ),
      mixture: z
        .enum(["sum", "by head", "softmax"])
        .default("sum")
        .describe("how several are mixed: summed, two weighed by a number for each head, or weighed by a softmax"),
      rank: positionCount().default(8).describe("of a factorised table"),
      seed: exactCount(0).default(0).describe("of a fixed table"),
    }),
    {
      summary: "attention without queries and keys: each position writes its row of logits, or a table has them",
      formula: "softmax(B)·V, B = relu(x·W₁)·W₂, or R, or R₁·R₂ᵀ, or sums of these",
      paper: "Tay et al. 2021, arXiv:2005.00743",
      cost: "O(n²·d) time, memory of a block of queries; n² parameters for each head of a table",
      exponent: 2,
      directions: ["causal", "bidirectional"],
      make: async ({ logits, mixture, rank, seed }, context) => {
        const [{ synthesizer }, from] = await Promise.all([
          import("./synthesizer/synthesizer.ts"),
          import("./synthesizer/synthetic-logits.ts"),
        ]);
        const makers: Record<(typeof logits)[number], () => LogitSource<unknown>> = {
          dense: () => from.denseLogits(context),
          table: () => from.tableLogits(context),
          "fixed table": () => from.tableLogits({ ...context, seed }),
          "factorised table": () => from.factorisedTableLogits({ ...context, rank }),
          "factorised dense": () => from.factorisedDenseLogits(context),
          "dot product": () => from.dotProductLogits(context),
        };
        const mixtures: Record<typeof mixture, Mixture<unknown>> = {
          sum: from.plainSum,
          "by head": from.headWeighted(context.heads),
          softmax: from.softmaxWeighted,
        };
        return synthesizer({
          ...context,
          sources: logits.map((name) => makers[name]()),
          mixture: mixtures[mixture],
        });
      },
    },
  ),
  "memory-compressed": entry(
    "memory-compressed",
    z.strictObject({
      factor: positionCount().default(3).describe("how many positions become one"),
      compress: z.enum(["inputs", "keys and values"]).default("inputs").describe("what the convolution compresses"),
      first: z
        .enum(["position", "learned"])
        .default("position")
        .describe(
          "what every position sees: the first one, then blocks of the past; or a learned slot, then also blocks that end with itself",
        ),
    }),
    {
      summary: "softmax attention over blocks of positions that a strided convolution makes one slot of",
      formula: "softmax(q·k̄ᵀ / √d)·v̄, k̄, v̄ from convolutions with stride c",
      paper: "Liu et al. 2018, arXiv:1801.10198",
      cost: "O(n²·d / c) time, O(n·d) memory",
      exponent: 2,
      directions: ["causal", "bidirectional"],
      make: async ({ factor, compress, first }, context) => {
        const [{ memoryCompressed }, { learnedFirst, strictlyPast }] = await Promise.all([
          import("./memory-compressed/memory-compressed.ts"),
          import("./memory-compressed/compressed-blocks.ts"),
        ]);
        const rule = first === "position" ? strictlyPast : learnedFirst;
        return memoryCompressed({ ...context, factor, compress, rule });
      },
    },
  ),
  "induced-set": entry(
    "induced-set",
    z.strictObject({
      points: positionCount().default(32).describe("how many learned points there are"),
      form: z
        .enum(["paper", "published"])
        .default("paper")
        .describe("the block as the paper has it, or as the authors' code does"),
    }),
    {
      summary: "attention through a few learned points: they look at all positions, and all positions look at them",
      formula: "MAB(X, MAB(I, X)), MAB(X, Y) = LN(H + rFF(H)), H = LN(X + Multihead(X, Y, Y))",
      paper: "Lee et al. 2019, arXiv:1810.00825",
      cost: "O(n·m·d) time, O(n·m) memory",
      exponent: 1,
      directions: ["bidirectional"],
      make: async ({ points, form }, context) => {
        const [{ inducedSet }, { paperForm, publishedForm }] = await Promise.all([
          import("./sets/set-attention.ts"),
          import("./sets/set-blocks.ts"),
        ]);
        return inducedSet({ ...context, points, form: form === "paper" ? paperForm() : publishedForm() });
      },
    },
  ),
  axial: entry(
    "axial",
    z.strictObject({
      columns: positionCount()
        .optional()
        .describe("positions in a row of the grid that the sequence fills; the root of the length unless told"),
      arrangement: z
        .enum(["sequential", "sum"])
        .optional()
        .describe("rows then columns, with projections each, or both at once with the same (bidirectional only)"),
    }),
    {
      summary: "attention along the rows and the columns of a grid, each a sequence of its own",
      formula: "h = x + row(x), y = row(x) + column(h); causal: u = down(column≤(row(x))), y = u + row≤(x + u)",
      paper: "Ho et al. 2019, Axial Attention in Multidimensional Transformers, arXiv:1912.12180",
      cost: "O(n·√n·d) time, O(n·(√n + d)) memory",
      exponent: 1.5,
      directions: ["bidirectional", "causal"],
      make: async ({ columns, arrangement }, context): Promise<Mixer> => {
        const { axialAutoregressive, axialSequential, axialSum } = await import("./axial/axial.ts");
        const options = { ...context, columns: columns ?? Math.max(1, Math.round(Math.sqrt(context.length))) };
        if (context.causal && arrangement !== undefined) {
          throw new RangeError(`axial: causal has an arrangement of its own, got ${arrangement}`);
        }
        if (context.causal) return axialAutoregressive(options);
        return arrangement === "sum" ? axialSum(options) : axialSequential(options);
      },
    },
  ),
};

type EntryParts<O extends z.ZodObject, P> = Omit<MixerEntry, "options" | "load"> & {
  make(options: z.output<O>, context: MixerContext): Promise<Mixer<P>>;
};

/** @throws RangeError from `load` when the mechanism does not work in the wanted direction */
function entry<O extends z.ZodObject, P>(name: string, options: O, { make, ...about }: EntryParts<O, P>): MixerEntry {
  return {
    ...about,
    options,
    load: async (raw, context) => {
      requireSizes(name, context, { length: context.length });
      requireDirection(name, context.causal);
      const wanted = context.causal ? "causal" : "bidirectional";
      if (!about.directions.includes(wanted))
        throw new RangeError(`${name}: is ${about.directions.join(" and ")} only, not ${wanted}`);
      return make(parseOptions(options, raw, name), context);
    },
  };
}
