import {
  type Concrete,
  equal,
  expandDims,
  full as fullArray,
  iota,
  splitKey,
  type Tensor,
  where,
} from "@tsformers/engine";
import * as z from "zod";
import type { Mixer, Recurrent, View } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { LinearParams } from "../../nn/linear.ts";
import { exactCount, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type HeadProjectionOptions, headProjections, oneSequence, realAt } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { causal as causalPattern, fullPattern } from "../patterns/pattern.ts";
import { attendSynthetic } from "./attend-synthetic.ts";
import {
  denseLogits,
  dotProductLogits,
  factorisedDenseLogits,
  factorisedRank,
  factorisedTableLogits,
  headWeighted,
  type LogitSource,
  type Mixture,
  plainSum,
  type SourceLogits,
  softmaxWeighted,
  tableLogits,
} from "./synthetic-logits.ts";

export type SynthesizerOptions = HeadProjectionOptions & {
  readonly causal: boolean;
  /** Sources of logits; several are mixed. */
  readonly sources: readonly LogitSource<unknown>[];
  /** How the logits of several sources are combined. Default: {@link plainSum}. */
  readonly mixture?: Mixture<unknown>;
};

export type SynthesizerParams = { value: LinearParams; out: LinearParams; sources: unknown[]; mixture: unknown };

/**
 * Decode state: values of the positions so far, which of them are real [B, L], and keys where a source is a product of queries
 * and keys.
 */
export type SynthesizerState = { value: Tensor; real: Tensor; key?: Tensor };

/** By default; a source that is a product of queries and keys takes rotation. */
const refusals = {
  scores: "its logits are not products of queries and keys",
  rotation: "no source of logits has queries and keys",
};

/**
 * Attention with synthetic logits, computed from each position alone or independent of the input: `softmax(B)·V` with B from
 * {@link SynthesizerOptions.sources}.
 *
 * Columns of B belong to positions: a source has a longest sequence, and shorter ones use its first rows and columns.
 * Rotary positions rotate the queries and keys of {@link dotProductLogits}.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·H·T²·D) time; memory: that of one block of queries, {@link attendSynthetic}, and tables of N² for each
 *   head
 * @source Tay et al. 2021, "Synthesizer: Rethinking Self-Attention in Transformer Models", arXiv:2005.00743
 * @throws RangeError when the sequence is longer than a source was made for
 */
export function synthesizer(options: SynthesizerOptions): Mixer<SynthesizerParams> {
  const { heads, causal, sources, mixture = plainSum, dropoutRate = 0 } = options;
  const name = "synthesizer";
  checkSources(sources, mixture);
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections(name, options);
  const longest = Math.min(...sources.map(({ length }) => length));
  const fits = (length: number) => {
    if (length > longest) throw new RangeError(`${name}: made for sequences of at most ${longest}, got ${length}`);
  };
  const logitsOf = (
    params: SynthesizerParams,
    x: Tensor,
    of: { keys: number; view: View; at?: Tensor },
  ): SourceLogits[] => {
    const { keys, view, at } = of;
    const { scores, rotation } = refusals;
    requireSupport(name, view, sources.some(({ turns }) => turns) ? { scores } : { scores, rotation });
    return sources.map((source, i) =>
      source.prepare(params.sources[i], x, { keys, ...present({ at, rotate: view.rotate }) }),
    );
  };
  const factorsOf = (params: SynthesizerParams) => mixture.factors(params.mixture, sources.length);

  const recurrent: Recurrent<SynthesizerParams, SynthesizerState> = {
    start: (batch, capacity) => {
      fits(capacity);
      const empty = fullArray([batch, heads, capacity, headWidth], 0);
      const withKeys = sources.some(({ turns }) => turns) ? { key: empty } : {};
      return { value: empty, real: fullArray([batch, capacity], 0), ...withKeys };
    },
    step: (params, x, state, { position, view }) => {
      const keys = state.value.shape[2]!;
      const place = equal(iota(keys), position);
      const write = (old: Tensor, fresh: Tensor) => where(expandDims(place, -1), fresh, old);
      const value = write(state.value, toHeads(params.value, x));
      const real = where(place, realAt(view.keyMask, position) ?? 1, state.real);
      let key: Tensor | undefined;
      const parts = logitsOf(params, x, { keys, view, at: position }).map((part): SourceLogits => {
        if (!("ofInputs" in part)) return part;
        key = write(state.key!, part.columns);
        return { ...part, columns: key };
      });
      const { mixed } = attendSynthetic(parts, value, {
        view: { pattern: causalPattern, queries: 1, keys, offset: position, keyMask: real },
        factors: factorsOf(params),
        context: evaluation,
      });
      return { y: fromHeads(params.out, mixed, evaluation), state: { value, real, ...present({ key }) } };
    },
  };

  return {
    name,
    sees: causal ? "earlier" : "all",
    init: (random): Concrete<SynthesizerParams> => {
      const [v, o, m, ...rest] = splitKey(random, 3 + sources.length);
      return {
        value: initHeads(v!),
        out: initOut(o!),
        sources: sources.map((source, i) => source.init(rest[i]!)),
        mixture: mixture.init(m!, sources.length),
      } as Concrete<SynthesizerParams>;
    },
    apply: (params, input, context) => {
      oneSequence(name, input);
      const { x, view } = input;
      const length = x.shape[1]!;
      fits(length);
      const { mixed, map } = attendSynthetic(logitsOf(params, x, { keys: length, view }), toHeads(params.value, x), {
        view: {
          pattern: causal ? causalPattern : fullPattern,
          queries: length,
          keys: length,
          ...present({ keyMask: view.keyMask }),
        },
        factors: factorsOf(params),
        dropoutRate,
        context,
      });
      return { y: fromHeads(params.out, mixed, context), map };
    },
    ...(causal && { recurrent: recurrent as unknown as Recurrent<SynthesizerParams, never> }),
  };
}

function checkSources(sources: readonly LogitSource<unknown>[], mixture: Mixture<unknown>): void {
  const { sources: wanted = sources.length } = mixture;
  if (sources.length === 0 || sources.length !== wanted) {
    const expected = mixture.sources === undefined ? "at least one source" : `${wanted} sources`;
    throw new RangeError(`synthesizer: expected ${expected} of logits, got ${sources.length}`);
  }
  if (sources.filter(({ turns }) => turns).length > 1) {
    throw new RangeError("synthesizer: expected at most one source that is a dot product of queries and keys");
  }
}

export type SyntheticLogits =
  | "dense"
  | "table"
  | "fixed table"
  | "factorised table"
  | "factorised dense"
  | "dot product";

export type SynthesizerSettings = {
  readonly logits?: readonly SyntheticLogits[];
  readonly mixture?: "sum" | "by head" | "softmax";
  readonly rank?: number;
  readonly seed?: number;
};

export const synthesizerEntry: MixerEntry<"synthesizer", SynthesizerSettings> = /* @__PURE__ */ mixerEntry({
  name: "synthesizer",
  title: "Synthesizer",
  year: 2021,
  paper: "Tay et al. 2021, Synthesizer: Rethinking Self-Attention in Transformer Models, arXiv:2005.00743",
  summary: "attention without queries and keys: each position writes its row of logits, or a table has them",
  formula: "softmax(B)·V, B = relu(x·W₁)·W₂, or R, or R₁·R₂ᵀ, or sums of these",
  cost: "O(n²·d) time, memory of a block of queries; n² parameters for each head of a table",
  exponent: 2,
  directions: ["causal", "bidirectional"],
  refuses: refusals,
  decodeState: "grows",
  options: () =>
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
      rank: positionCount().default(factorisedRank).describe("of a factorised table"),
      seed: exactCount(0).default(0).describe("of a fixed table"),
    }),
  make: ({ logits, mixture, rank, seed }, context) => {
    const { heads, length } = context;
    const sources: Record<SyntheticLogits, () => LogitSource<unknown>> = {
      dense: () => denseLogits(context),
      table: () => tableLogits({ heads, length }),
      "fixed table": () => tableLogits({ heads, length, seed }),
      "factorised table": () => factorisedTableLogits({ heads, length, rank }),
      "factorised dense": () => factorisedDenseLogits(context),
      "dot product": () => dotProductLogits(context),
    };
    const mixtures: Record<typeof mixture, Mixture<unknown>> = {
      sum: plainSum,
      "by head": headWeighted(heads),
      softmax: softmaxWeighted,
    };
    return synthesizer({ ...context, sources: logits.map((name) => sources[name]()), mixture: mixtures[mixture] });
  },
});
