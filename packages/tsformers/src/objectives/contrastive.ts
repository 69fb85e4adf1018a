import {
  add,
  and,
  broadcastTo,
  cast,
  div,
  equal,
  expandDims,
  full,
  iota,
  less,
  logSumExp,
  matmul,
  max,
  minimum,
  mul,
  randomUniform,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
  takeAlongAxis,
  topK,
  where,
  zeros,
} from "@tsformers/engine";
import { evaluation } from "../kinds/layer.ts";
import type { SummaryModel } from "../models/summaries.ts";
import { crossEntropies, weightedMean } from "../nn/cross-entropy.ts";
import { within } from "../nn/dropout.ts";
import { sumOfLosses } from "../nn/losses.ts";
import { realOf } from "../nn/real-positions.ts";
import { present } from "../schema/present.ts";
import type { Batch } from "../tasks/task.ts";
import { besideLoss, type Objective, type Symbolic } from "./objective.ts";
import { predictionTotals } from "./prediction-totals.ts";

export type ContrastiveOptions = {
  /** The token that stands for hidden ones. Default: the last of the vocabulary, as in a task's masked view. */
  readonly maskToken?: number;
  /** m, segments of a row that are hidden as a whole; at least one is left. Default: 2. */
  readonly hidden?: number;
  /** Tokens of a hidden segment that are read where it is read alone; what is behind them is left away. Default: 32. */
  readonly longest?: number;
  /** Label smoothing of hidden tokens in training. Default: 0. */
  readonly smoothing?: number;
};

/** How much the prediction of tokens counts, and that of segments. */
const shares = { tokens: 0.8, segments: 0.2 };

/**
 * ETC's pre-training: hidden tokens are predicted, and so are segments that are hidden as a whole. Of these the state of the global token, which
 * knows the rest of the row only, is to be closer to the summary of that segment, read alone, than to those of the other hidden segments of the
 * batch (contrastive predictive coding):
 *
 * `loss = 0.8·MLM + 0.2·CPC`, `CPC = −mean_i log softmax_j(h_i·e_j / √C)[i]`, h from the row, e from the segment alone.
 *
 * The second term is the loss `contrast`. Evaluation hides no segments: its loss is that of hidden tokens.
 *
 * @shape  tokens [B, L] → h, e [B·m, C]
 * @source Ainslie et al. 2020, "ETC", §3.4, arXiv:2004.08483; van den Oord, Li & Vinyals 2018, "Representation Learning with Contrastive
 *   Predictive Coding", arXiv:1807.03748
 * @differs similarity is a scaled product without a matrix between, so that parameters are those of the model; hidden tokens are predicted inside
 *   hidden segments, too
 */
export function contrastiveObjective<Params>(
  model: SummaryModel<Params>,
  { hidden = 2, longest = 32, maskToken = model.vocabularySize - 1, ...rest }: ContrastiveOptions = {},
): Objective<Params, Batch> {
  // Separators are hidden like other tokens: segments are those of the row as it was.
  const structured = ({ inputs, targets, mask }: Symbolic<Batch>) => {
    const given = present({ mask });
    return { tokens: inputs, ...given, types: model.segmentsOf({ tokens: targets, ...given }) };
  };
  return {
    init: model.init,
    ...(model.project !== undefined && { project: (params: Params) => model.project!(params) }),
    loss: (params, batch, context) => {
      const { targets, weights } = batch;
      const input = structured(batch);
      const chosen = chooseSegments(input, { hidden, globals: model.globals, key: within(context, "segments").key });
      const tokens = where(chosen.covers, maskToken, input.tokens);
      const out = model.summarise(params, { ...input, tokens }, context);
      const alone = segmentsAlone({ ...input, tokens: targets }, chosen.segments, longest);
      const read = model.summarise(params, alone, within(context, "alone"));
      const predicted = matmul(oneHotRows(chosen.segments, model.globals), cast(out.summaries, "float32"));
      const contrast = contrastiveLoss(
        reshape(predicted, [predicted.shape[0]! * hidden, model.body.width]),
        cast(slice(read.summaries, 1, 0, 1), "float32"),
        reshape(chosen.counts, [-1]),
      );
      const own = model.trainingLosses?.(params, out, { targets, weights }, context);
      const losses = sumOfLosses([out.losses, own, { contrast: mul(contrast, shares.segments) }]);
      const total = mul(sum(mul(crossEntropies(out.logits, targets, rest), weights)), shares.tokens);
      return { total, weight: sum(weights), ...besideLoss({ ...out, losses }) };
    },
    totals: (params, batch) => {
      const { logits } = model.summarise(params, structured(batch), evaluation);
      return { totals: predictionTotals(logits, batch.targets, batch.weights) };
    },
  };
}

type Structured = { readonly tokens: Tensor; readonly mask?: Tensor; readonly types: Tensor };

/** [B, m] → float32 [B, m, G] */
function oneHotRows(segments: Tensor, globals: number): Tensor {
  return cast(equal(expandDims(segments, 2), iota(globals)), "float32");
}

/**
 * m segments of each row, in a random order; without a key, the first ones.
 *
 * @returns `segments` int32 [B, m]; `counts`, 1 for those that are hidden: a row has others besides, float32 [B, m]; `covers`, bool [B, L]
 */
function chooseSegments(
  input: Structured,
  { hidden, globals, key }: { readonly hidden: number; readonly globals: number; readonly key: Tensor | undefined },
): { readonly segments: Tensor; readonly counts: Tensor; readonly covers: Tensor } {
  const [batch] = input.types.shape as [number];
  const isOf = cast(equal(expandDims(input.types, 1), reshape(iota(globals), [1, globals, 1])), "float32");
  const inUse = max(mul(isOf, expandDims(realOf(input.mask, input.tokens.shape), 1)), { axes: 2 });
  const lot =
    key === undefined
      ? broadcastTo(div(sub(globals, cast(iota(globals), "float32")), globals), [batch, globals])
      : add(randomUniform(key, [batch, globals]), 1e-6);
  const { indices: segments } = topK(mul(inUse, lot), hidden, 1);
  const counts = cast(less(add(cast(iota(hidden), "float32"), 1), sum(inUse, { axes: 1, keepDims: true })), "float32");
  const isHidden = matmul(expandDims(counts, 1), oneHotRows(segments, globals));
  const covers = cast(matmul(isHidden, isOf), "bool");
  return { segments, counts, covers: reshape(covers, input.types.shape) };
}

/** The chosen segments [B, m] as rows of their own, [B·m, longest]. Segments are stretches of consecutive positions. */
function segmentsAlone(input: Structured, segments: Tensor, longest: number): Structured {
  const [batch, length] = input.types.shape as [number, number];
  const hidden = segments.shape[1]!;
  const before = sum(cast(less(expandDims(input.types, 1), expandDims(segments, 2)), "int32"), { axes: 2 });
  const wanted = add(expandDims(before, 2), iota(longest));
  const places = reshape(minimum(wanted, length - 1), [batch, hidden * longest]);
  const at = (x: Tensor): Tensor => reshape(takeAlongAxis(x, places, 1), [batch, hidden, longest]);
  const isOwn = and(equal(at(input.types), expandDims(segments, 2)), less(wanted, length));
  const rows = [batch * hidden, longest];
  return {
    tokens: reshape(at(input.tokens), rows),
    mask: reshape(mul(cast(isOwn, "float32"), at(realOf(input.mask, input.tokens.shape))), rows),
    types: zeros(rows, "int32"),
  };
}

/**
 * `−Σ_i c_i·log softmax_j(h_i·e_j / √C)[i] / Σ c`, j over those that count.
 *
 * @shape predicted [N, C], read [N, 1, C], counts [N] → []
 */
function contrastiveLoss(predicted: Tensor, read: Tensor, counts: Tensor): Tensor {
  const [count, width] = predicted.shape as [number, number];
  const scores = div(matmul(predicted, reshape(read, [count, width]), { transposeB: true }), Math.sqrt(width));
  const others = add(scores, where(equal(expandDims(counts, 0), 1), 0, full([1, count], -1e30)));
  const own = sum(mul(scores, cast(equal(iota(count), reshape(iota(count), [count, 1])), "float32")), { axes: 1 });
  const missed = sub(logSumExp(others, { axes: 1 }), own);
  return weightedMean(missed, counts);
}
