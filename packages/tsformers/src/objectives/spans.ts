import {
  add,
  cast,
  cumsum,
  div,
  equal,
  expandDims,
  maximum,
  mul,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
  zeros,
} from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import type { LanguageModel, TokenBody, TokensInput } from "../models/language-model.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { dropout } from "../nn/dropout.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { present } from "../schema/present.ts";
import type { SpansBatch } from "../tasks/task.ts";
import { type Headed, headed } from "./headed.ts";
import { besideLoss, type Objective, type Symbolic } from "./objective.ts";
import { bestSpans, spanScores } from "./span-scores.ts";

export type SpanOptions = {
  /** The token that ends the question, at the beginning of a row; behind it is the document. */
  readonly separator: number;
  /** Tokens of the longest span that is told as an answer. */
  readonly longest: number;
  /** Of the vectors that the head reads. Default: 0. */
  readonly dropoutRate?: number;
};

export type SpanFinderParams<Params> = Headed<Params, "spanHead">;

/** What logits are lowered by at positions where no answer can be. */
const outside = 1e9;

/**
 * A model that tells where in a document the answer to a question is: logits of each position for the first and for the last token of the
 * answer. A row is `question separator document`. For a body that takes global tokens from its input, those of the question are global.
 *
 * @shape tokens [B, T] → logits [B, T, 2]
 * @source Devlin et al. 2019, "BERT", §4.2, arXiv:1810.04805; Beltagy et al. 2020, "Longformer", §6.1, arXiv:2004.05150 (global tokens)
 */
export function spanFinder<Params>(
  body: TokenBody<Params>,
  { separator, dropoutRate = 0 }: Pick<SpanOptions, "separator" | "dropoutRate">,
): LanguageModel<SpanFinderParams<Params>> {
  const head = linear(body.width, 2);
  const readsGlobals = body.layers.some(({ mixer }) => mixer.readsGlobals);
  const question = ({ tokens }: TokensInput): Tensor => questionOf(tokens!, separator);
  return headed(
    body,
    {
      name: "spanHead",
      init: head.init,
      logits: (params, { x }, input, context) => {
        const logits = head.apply(params as LinearParams, dropout(x, dropoutRate, context, "span"));
        const isDocument = sub(1, question(input));
        const allowed = input.mask === undefined ? isDocument : mul(isDocument, cast(input.mask, "float32"));
        return add(logits, cast(expandDims(mul(sub(allowed, 1), outside), -1), logits.dtype));
      },
    },
    { input: (input) => (readsGlobals ? { ...input, globals: question(input) } : input) },
  );
}

/** 1 at the tokens up to the first separator and at itself, float32 [B, T]. */
function questionOf(tokens: Tensor, separator: number): Tensor {
  const before = cumsum(cast(equal(tokens, separator), "float32"), 1, { exclusive: true });
  return cast(equal(before, 0), "float32");
}

/**
 * Trains any body of the family to answer questions by spans of the document. The loss is the mean of its two parts, `start` and `end`, which
 * are −log p of the answer's first and last token among those of the document; rows whose answer was cut away have no loss, and count as wrong.
 *
 * Evaluation tells the likeliest span, at most `longest` tokens, and compares it with the accepted answers as SQuAD does: see {@link spanScores}.
 *
 * @source Rajpurkar et al. 2016, "SQuAD", arXiv:1606.05250 (scores)
 */
export function spanFinding<Params>(
  body: TokenBody<Params>,
  options: SpanOptions,
): Objective<SpanFinderParams<Params>, SpansBatch> {
  const { longest } = options;
  const { init, apply, project } = spanFinder(body, options);
  const run = (params: SpanFinderParams<Params>, batch: Symbolic<SpansBatch>, context: Context) => {
    const out = apply(params, { tokens: batch.inputs, mask: batch.mask }, context);
    const lossOf = (side: 0 | 1): Tensor => {
      const logits = sideOf(out.logits, side);
      const target = slice(batch.targets, 1, side, side + 1);
      const losses = crossEntropies(expandDims(logits, 1), target);
      return div(sum(mul(losses, expandDims(batch.found, 1))), 2);
    };
    return { ...out, weight: sum(batch.found), start: lossOf(0), end: lossOf(1) };
  };
  return {
    init,
    ...present({ project }),
    loss: (params, batch, context) => {
      const out = run(params, batch, context);
      const beside = besideLoss(out);
      const mean = (total: Tensor): Tensor => div(total, maximum(out.weight, 1));
      const losses = { ...beside.losses, start: mean(out.start), end: mean(out.end) };
      return { total: zeros([]), weight: out.weight, ...beside, losses };
    },
    totals: (params, batch) => {
      const { logits, weight, start, end } = run(params, batch, evaluation);
      const { exact, overlap } = spanScores(bestSpans(sideOf(logits, 0), sideOf(logits, 1), longest), batch);
      return {
        totals: {
          lossSum: add(start, end),
          tokens: weight,
          rows: sum(batch.weights),
          exactRows: sum(mul(exact, batch.weights)),
          overlap: sum(mul(overlap, batch.weights)),
        },
      };
    },
  };
}

/** Logits of the one side, float32 [B, T]. */
function sideOf(logits: Tensor, side: 0 | 1): Tensor {
  const [batch, length] = logits.shape as [number, number, number];
  return cast(reshape(slice(logits, 2, side, side + 1), [batch, length]), "float32");
}
