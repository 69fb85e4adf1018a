import * as z from "zod";
import { requireCounts, requireDirection } from "../../nn/sizes.ts";
import { positionCount } from "../../schema/count.ts";
import { parseOptions } from "../../schema/parse-options.ts";
import type { Pattern } from "./pattern.ts";

/** What a pattern must know of the model that it is built into. */
export type PatternContext = {
  /** The longest sequence. Sizes that are not given follow from it. */
  readonly length: number;
  /** Whether no position may look ahead. */
  readonly causal: boolean;
  readonly heads: number;
  readonly layers: number;
};

/** What each layer sees, the first one being 0. */
export type LayerPatterns = (layer: number) => Pattern;

/** A pattern of softmax attention as the catalogue knows it, before its code is loaded. */
export type PatternEntry = {
  readonly summary: string;
  readonly formula: string;
  readonly paper: string;
  /** Pairs that a sequence of n positions computes, with the sizes that are chosen. */
  readonly cost: string;
  /** The claimed exponent of n: 1 for linear, 1.5 for n√n, 2 for n²; sizes that follow from the length taken as the paper takes them. */
  readonly exponent: number;
  /** Which of the two ways it works in; the first is that of the paper. */
  readonly directions: readonly ("causal" | "bidirectional")[];
  /** What may be set; every option has a description, and unknown ones are errors. */
  options(): z.ZodObject;
  /**
   * Checks the options and makes the patterns.
   *
   * @throws RangeError naming the options that do not fit, and when the pattern does not work in the wanted direction
   */
  load(options: unknown, context: PatternContext): Promise<LayerPatterns>;
};

const count = () => positionCount();
const whole = () => positionCount(0);
const use = (standard: "merged" | "heads" | "layers") =>
  z
    .enum(["merged", "heads", "layers"])
    .default(standard)
    .describe("where its two halves go: both into every head, into heads in turn, or into layers in turn");

export type PatternName =
  | "full"
  | "window"
  | "dilated"
  | "strided"
  | "fixed"
  | "blockwise"
  | "local-1d"
  | "local-2d"
  | "axial"
  | "global"
  | "longformer"
  | "etc"
  | "bigbird";

/** Every pattern by name. Their code is loaded when they are made. */
export const patterns: Readonly<Record<PatternName, PatternEntry>> = {
  full: entry("full", z.strictObject({}), {
    summary: "every position sees every position, or all before it",
    formula: "S_i = {0, …, n − 1}, causal {0, …, i}",
    paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    cost: "n² pairs, causal n²/2",
    exponent: 2,
    directions: ["causal", "bidirectional"],
    make: async (_, { causal }) => {
      const pattern = await import("./pattern.ts");
      return () => (causal ? pattern.causal : pattern.full);
    },
  }),
  window: entry(
    "window",
    z.strictObject({
      before: whole().optional().describe("positions back; an eighth of the length, at most 256, unless given"),
      after: whole().optional().describe("positions ahead, 0 when causal; as many as before unless given"),
    }),
    {
      summary: "a sliding window: every position sees its neighbours",
      formula: "S_i = {j : i − before ≤ j ≤ i + after}",
      paper: "Beltagy et al. 2020, Longformer, arXiv:2004.05150",
      cost: "n·(before + after + 1) pairs",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async ({ before: given, after }, { length, causal }) => {
        const { slidingWindow } = await import("./window.ts");
        const before = given ?? eighth(length, 256);
        return always(slidingWindow({ before, after: ahead("window", after, before, causal) }));
      },
    },
  ),
  dilated: entry(
    "dilated",
    z.strictObject({
      before: whole().optional().describe("keys back; a sixteenth of the length, at most 128, unless given"),
      after: whole().optional().describe("keys ahead, 0 when causal; as many as before unless given"),
      dilations: z.array(count()).min(1).default([2]).describe("distance between keys, for each head in turn"),
    }),
    {
      summary: "a sliding window with gaps, of a width for each head",
      formula: "S_i = {i + k·dilation : −before ≤ k ≤ after}",
      paper: "Beltagy et al. 2020, Longformer, arXiv:2004.05150",
      cost: "n·(before + after + 1) pairs",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async ({ before: given, after, dilations }, { length, causal }) => {
        const { dilatedHeads } = await import("./dilated.ts");
        const before = given ?? eighth(length / 2, 128);
        return always(dilatedHeads({ before, after: ahead("dilated", after, before, causal), dilations }));
      },
    },
  ),
  strided: entry(
    "strided",
    z.strictObject({
      stride: count().optional().describe("l, the width of an image; the root of the length unless given"),
      reach: whole().optional().describe("positions back of the first half; l − 1 unless given, the paper has l"),
      use: use("merged"),
    }),
    {
      summary: "the last l positions, and every l-th before them",
      formula: "A1_i = {j : i − l < j ≤ i}, A2_i = {j : (i − j) mod l = 0, j ≤ i}",
      paper: "Child et al. 2019, Sparse Transformers, arXiv:1904.10509",
      cost: "n·(l + n/l) pairs: n√n",
      exponent: 1.5,
      directions: ["causal", "bidirectional"],
      make: async ({ stride: given, reach, use }, { length, causal }) => {
        const { strided, stridedHeads, stridedLayers } = await import("./strided.ts");
        const options = { stride: given ?? root(length), causal, ...(reach === undefined ? {} : { reach }) };
        if (use === "layers") return stridedLayers(options);
        return always(use === "merged" ? strided(options) : stridedHeads(options));
      },
    },
  ),
  fixed: entry(
    "fixed",
    z.strictObject({
      stride: count().optional().describe("l, positions in a block; the root of the length unless given"),
      summary: count().optional().describe("c, summary positions of a block; l/8, at least 1, unless given"),
      withFirst: z.boolean().default(false).describe("the first of each block is a summary position too"),
      use: use("merged"),
      ownPlaces: z.boolean().default(false).describe("each head has summary positions of its own (merged halves)"),
    }),
    {
      summary: "the query's own block, and a few summary positions of all blocks before",
      formula: "A1_i = {j : ⌊j/l⌋ = ⌊i/l⌋, j ≤ i}, A2_i = {j : j mod l ≥ l − c, j ≤ i}",
      paper: "Child et al. 2019, Sparse Transformers, arXiv:1904.10509",
      cost: "n·(l + c·n/l) pairs: n√n",
      exponent: 1.5,
      directions: ["causal", "bidirectional"],
      make: async ({ stride: given, summary, withFirst, use, ownPlaces }, { length, causal, heads }) => {
        const [{ fixed, fixedBlock, fixedHeads, fixedLayers, fixedSummary }, { perHead }] = await Promise.all([
          import("./fixed.ts"),
          import("./combine.ts"),
        ]);
        const stride = given ?? root(length);
        const first = withFirst ? ({ withFirst: true } as const) : {};
        const options = { stride, causal, summary: summary ?? Math.max(1, Math.floor(stride / 8)), ...first };
        if (ownPlaces && use !== "merged") throw new RangeError('fixed: ownPlaces goes with use "merged"');
        if (ownPlaces) {
          const places = Math.min(heads, Math.floor(stride / options.summary));
          return always(fixedHeads({ ...options, places }));
        }
        if (use === "layers") return fixedLayers(options);
        return always(use === "merged" ? fixed(options) : perHead([fixedBlock(options), fixedSummary(options)]));
      },
    },
  ),
  blockwise: entry(
    "blockwise",
    z.strictObject({
      blocks: count().default(2).describe("n_b, into how many blocks the sequence is cut"),
      shifted: whole()
        .optional()
        .describe("how many heads see another block than their own; a third of them unless given"),
      permutations: z
        .array(z.array(whole()).min(1))
        .min(1)
        .optional()
        .describe("for each head, the block that each block sees: [[0,1],[1,0]]; instead of the two above"),
    }),
    {
      summary: "blocks of queries see one block of keys each, by a permutation for each head",
      formula: "S_i = {j : block(j) = π_h(block(i))}",
      paper: "Qiu et al. 2020, Blockwise Self-Attention, arXiv:1911.02972",
      cost: "n²/n_b pairs",
      exponent: 2,
      directions: ["bidirectional"],
      make: async ({ blocks, shifted, permutations }, { heads }) => {
        const { blockwiseHeads, shiftingHeads } = await import("./blockwise.ts");
        if (permutations !== undefined) return always(blockwiseHeads(permutations));
        return always(shiftingHeads({ blocks, heads, shifted: Math.min(heads, shifted ?? Math.round(heads / 3)) }));
      },
    },
  ),
  "local-1d": entry(
    "local-1d",
    z.strictObject({
      block: count().optional().describe("positions in a block; an eighth of the length, at most 256, unless given"),
    }),
    {
      summary: "the query's own block and the one before it",
      formula: "S_i = {j : ⌊j/l⌋ ∈ {⌊i/l⌋ − 1, ⌊i/l⌋}, j ≤ i}",
      paper: "Parmar et al. 2018, Image Transformer, arXiv:1802.05751",
      cost: "n·1.5·l pairs",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async ({ block }, { length, causal }) =>
        always((await import("./local-1d.ts")).local1d({ block: block ?? eighth(length, 256), causal })),
    },
  ),
  "local-2d": entry(
    "local-2d",
    z.strictObject({
      columns: count().optional().describe("pixels in a row of the image; the root of the length unless given"),
      queryBlock: z
        .array(count())
        .length(2)
        .optional()
        .describe("rows and columns of a block; an eighth of the image's, at least 2"),
      flange: z
        .array(whole())
        .length(2)
        .optional()
        .describe("rows above and columns aside that are visible; as the block"),
      sequence: z
        .enum(["generated", "raster"])
        .optional()
        .describe("the order of positions: block by block as pixels are generated (when causal), or row by row"),
    }),
    {
      summary: "the query's own block of pixels, and a flange around it",
      formula: "S_i = block(i) up to i ∪ strip above ∪ strip to the left",
      paper: "Parmar et al. 2018, Image Transformer, arXiv:1802.05751",
      cost: "n·(h + m_h)·(w + 2·m_w) pairs",
      exponent: 1,
      directions: ["causal", "bidirectional"],
      make: async (options, { length, causal }) => {
        const { local2d, local2dGenerated } = await import("./local-2d.ts");
        const columns = options.columns ?? root(length);
        const rows = Math.ceil(length / columns);
        const [height, width] = options.queryBlock ?? [eighthOf(rows), eighthOf(columns)];
        const [up, aside] = options.flange ?? [height!, width!];
        const sizes = { columns, queryBlock: [height!, width!], flange: [up!, aside!], causal } as const;
        if ((options.sequence ?? (causal ? "generated" : "raster")) === "generated") {
          return always(local2dGenerated({ ...sizes, rows }));
        }
        if (causal) {
          throw new RangeError('local-2d: looks ahead in the order of the raster; causal needs sequence "generated"');
        }
        return always(local2d(sizes));
      },
    },
  ),
  axial: entry(
    "axial",
    z.strictObject({
      columns: count().optional().describe("positions in a row of the grid; the root of the length unless given"),
      use: use("layers"),
    }),
    {
      summary: "the query's own row and column of a grid",
      formula: "S_i = {j : ⌊j/w⌋ = ⌊i/w⌋} and {j : j ≡ i mod w}",
      paper: "Ho et al. 2019, Axial Attention in Multidimensional Transformers, arXiv:1912.12180",
      cost: "n·(w + n/w) pairs: n√n",
      exponent: 1.5,
      directions: ["bidirectional", "causal"],
      make: async ({ columns, use }, { length, causal }) => {
        const { axialCross, axialHeads, axialLayers } = await import("./axial.ts");
        const options = { columns: columns ?? root(length), causal };
        if (use === "layers") return axialLayers(options);
        return always(use === "merged" ? axialCross(options) : axialHeads(options));
      },
    },
  ),
  global: entry(
    "global",
    z.strictObject({
      positions: z.array(whole()).default([0]).describe("positions that see all and are seen by all"),
    }),
    {
      summary: "a few positions see all and are seen by all; alone no more than that",
      formula: "S_i = everything for i ∈ G, G otherwise",
      paper: "Beltagy et al. 2020, Longformer, arXiv:2004.05150",
      cost: "2·n·g pairs",
      exponent: 1,
      directions: ["bidirectional", "causal"],
      make: async ({ positions }, { causal }) =>
        always((await import("./global.ts")).globalTokens({ positions, causal })),
    },
  ),
  longformer: entry(
    "longformer",
    z.strictObject({
      window: count()
        .optional()
        .describe("w, neighbours on both sides together; an eighth of the length, at most 512, unless given"),
      windows: z.array(count()).min(1).optional().describe("w of each layer instead; the last holds for further ones"),
      globals: z.array(whole()).default([0]).describe("positions that see all and are seen by all"),
      dilations: z.array(count()).min(1).default([1]).describe("distance between neighbours, for each head in turn"),
      dilatedFrom: whole().default(0).describe("the first layer with such distances"),
    }),
    {
      summary: "a sliding window, with gaps in some heads, and global tokens",
      formula: "S_i = {j : |i − j| ≤ w/2} ∪ G, everything for i ∈ G",
      paper: "Beltagy et al. 2020, Longformer, arXiv:2004.05150",
      cost: "n·(w + 2·g) pairs",
      exponent: 1,
      directions: ["bidirectional", "causal"],
      make: async ({ window, windows, ...rest }, { length, causal }) => {
        const { longformerLayers } = await import("./longformer.ts");
        const standard = 2 * Math.max(1, Math.round(eighth(length, 512) / 2));
        return longformerLayers({ windows: windows ?? [window ?? standard], causal, ...rest });
      },
    },
  ),
  etc: entry(
    "etc",
    z.strictObject({
      globals: whole()
        .optional()
        .describe("positions in front that are the global input; 1/16 of the length, at most 256"),
      radius: whole()
        .optional()
        .describe("how far long positions see; a sixteenth of the length, at most 84, unless given"),
      segments: z
        .array(whole())
        .optional()
        .describe("the segment of each long position: global token s then sees only long positions of segment s"),
    }),
    {
      summary: "a global input that sees all, and a long one that sees it and its neighbours",
      formula: "[global ‖ long]: g→g, g→l and l→g all, l→l {j : |i − j| ≤ r}",
      paper: "Ainslie et al. 2020, ETC, arXiv:2004.08483",
      cost: "n_g·(n_g + n_l) + n_l·(n_g + 2·r + 1) pairs",
      exponent: 1,
      directions: ["bidirectional"],
      make: async ({ globals, radius, segments }, { length }) =>
        always(
          (await import("./etc.ts")).etc({
            globals: globals ?? eighth(length / 2, 256),
            radius: radius ?? eighth(length / 2, 84),
            ...(segments === undefined ? {} : { segments }),
          }),
        ),
    },
  ),
  bigbird: entry(
    "bigbird",
    z.strictObject({
      block: count().optional().describe("positions in a block; a sixteenth of the length, at most 64, unless given"),
      random: whole().default(3).describe("r, random blocks for each block"),
      globals: whole()
        .optional()
        .describe("global tokens in front, instead of the first and the last block (ETC variant)"),
      plan: z
        .enum(["uniform", "released"])
        .default("uniform")
        .describe("drawn evenly from all blocks, or as in the published models: from the first ones only"),
      seed: whole().default(0).describe("layer n draws with seed + n"),
      blocks: z
        .array(z.array(z.array(whole())))
        .optional()
        .describe("the random blocks themselves instead: for each head, for each block, its blocks"),
    }),
    {
      summary: "blocks see themselves, their neighbours, random blocks, and the first and last, which see all",
      formula: "block i sees {0, i − 1, i, i + 1, last} ∪ random(i)",
      paper: "Zaheer et al. 2020, Big Bird, arXiv:2007.14062",
      cost: "n·b·(5 + r) pairs",
      exponent: 1,
      directions: ["bidirectional"],
      make: async (options, { length, heads }) => {
        const [{ bigbird, bigbirdExtended }, { givenBlocks, uniformBlocks }, { releasedBlocks }] = await Promise.all([
          import("./bigbird.ts"),
          import("./bigbird-plan.ts"),
          import("./bigbird-released-plan.ts"),
        ]);
        const { random, globals, plan, seed, blocks: given } = options;
        const block = options.block ?? Math.max(1, Math.min(64, Math.round(length / 16)));
        if (plan === "released" && globals !== undefined) {
          throw new RangeError('bigbird: plan "released" is one of the first and last block; leave globals away');
        }
        const shared = { block, heads };
        return eachLayer((layer) => {
          const drawn = { random, heads, seed: seed + layer };
          if (given !== undefined || plan === "uniform") {
            const ends = globals === undefined ? "ends" : "none";
            const blocks = given === undefined ? uniformBlocks({ ...drawn, globals: ends }) : givenBlocks(given);
            if (globals !== undefined) return bigbirdExtended({ ...shared, globals, random: blocks });
            return bigbird({ ...shared, random: blocks });
          }
          return bigbird({ ...shared, random: releasedBlocks({ ...drawn, block, maxLength: Math.max(4096, length) }) });
        });
      },
    },
  ),
};

type EntryParts<O extends z.ZodObject> = Omit<PatternEntry, "options" | "load"> & {
  make(options: z.output<O>, context: PatternContext): Promise<LayerPatterns>;
};

function entry<O extends z.ZodObject>(name: string, options: O, { make, ...about }: EntryParts<O>): PatternEntry {
  return {
    ...about,
    options: () => options,
    load: async (raw, context) => {
      const { causal, length, heads, layers } = context;
      requireCounts(name, { length, heads, layers });
      requireDirection(name, causal);
      const wanted = causal ? "causal" : "bidirectional";
      if (!about.directions.includes(wanted)) {
        throw new RangeError(`${name}: is ${about.directions.join(" and ")} only, not ${wanted}`);
      }
      return make(parseOptions(options, raw, name), context);
    },
  };
}

function always(pattern: Pattern): LayerPatterns {
  return () => pattern;
}

/** Made once for a layer: plans and drawings know a pattern by its object. */
function eachLayer(make: LayerPatterns): LayerPatterns {
  const made = new Map<number, Pattern>();
  return (layer) => {
    const pattern = made.get(layer) ?? make(layer);
    made.set(layer, pattern);
    return pattern;
  };
}

function ahead(name: string, after: number | undefined, before: number, causal: boolean): number {
  if (!causal) return after ?? before;
  if (after !== undefined && after > 0)
    throw new RangeError(`${name}: causal positions see nothing after them, got after ${after}`);
  return 0;
}

function eighth(length: number, most: number): number {
  return Math.max(1, Math.min(most, Math.round(length / 8)));
}

function eighthOf(extent: number): number {
  return Math.max(2, Math.round(extent / 8));
}

/** What makes l + n/l least. */
function root(length: number): number {
  return Math.max(1, Math.round(Math.sqrt(length)));
}
