import {
  add,
  and,
  argmax,
  cast,
  constant,
  cumsum,
  div,
  equal,
  expandDims,
  floor,
  fromNumbers,
  gather,
  greater,
  iota,
  less,
  lessEqual,
  max,
  maximum,
  minimum,
  mul,
  notEqual,
  reshape,
  sub,
  sum,
  type Tensor,
  takeAlongAxis,
  where,
} from "@tsformers/engine";
import type { SpansBatch } from "../tasks/task.ts";
import type { Symbolic } from "./objective.ts";

/** Spans of rows: first positions int32 [B, 1], and how many tokens come behind the first, int32 [B, 1]. */
export type Spans = { readonly first: Tensor; readonly more: Tensor; readonly longest: number };

/**
 * The likeliest span of each row: the largest `start[t] + end[t + k]` for 0 ≤ k < `longest`.
 *
 * @shape start, end float32 [B, T], very low where no answer can be
 */
export function bestSpans(start: Tensor, end: Tensor, longest: number): Spans {
  const [batch, length] = start.shape as [number, number];
  const most = Math.min(longest, length);
  const places = Array.from({ length: length * most }, (_, i) => Math.floor(i / most) + (i % most));
  const at = constant(
    fromNumbers(
      places.map((place) => Math.min(place, length - 1)),
      [length, most],
      "int32",
    ),
  );
  const isInside = constant(
    fromNumbers(
      places.map((place) => (place < length ? 0 : -1e30)),
      [length, most],
    ),
  );
  const both = add(add(expandDims(start, 2), gather(end, at, 1)), isInside); // [B, T, M]
  const best = cast(argmax(reshape(both, [batch, length * most])), "int32"); // [B]
  const first = cast(floor(div(add(cast(best, "float32"), 0.5), most)), "int32");
  const column = (x: Tensor): Tensor => expandDims(x, 1);
  return { first: column(first), more: column(sub(best, mul(first, most))), longest: most };
}

/**
 * What spans score against the accepted answers, of which the best one counts: words in lower case, without punctuation and articles.
 *
 * - `exact`: whether the words are the same;
 * - `overlap`: F1 of the words that both have, `2·common / (words told + words accepted)`, each word as often as it is in both.
 *
 * @shape words int32 [B, T], answers int32 [B, A, W], of which 0 is no word → float32 [B]
 * @source Rajpurkar et al. 2016, "SQuAD", §6.1, arXiv:1606.05250
 */
export function spanScores(
  { first, more, longest }: Spans,
  { words, answers }: Pick<Symbolic<SpansBatch>, "words" | "answers">,
): { readonly exact: Tensor; readonly overlap: Tensor } {
  const [, length] = words.shape as [number, number];
  const [, , width] = answers.shape as [number, number, number];
  const behind = expandDims(iota(longest), 0); // [1, M]
  const shown = takeAlongAxis(words, minimum(add(first, behind), length - 1), 1);
  const told = where(lessEqual(behind, more), shown, 0); // [B, M]
  const [isTold, isAccepted] = [told, answers].map((of) => cast(notEqual(of, 0), "float32")) as [Tensor, Tensor];
  const toldCount = sum(isTold, { axes: 1, keepDims: true }); // [B, 1]
  const acceptedCount = sum(isAccepted, { axes: 2 }); // [B, A]
  // Which word told is which accepted one, [B, A, W, M].
  const same = mul(
    cast(equal(expandDims(answers, 3), expandDims(expandDims(told, 1), 1)), "float32"),
    expandDims(isAccepted, 3),
  );
  // Of equal accepted words the r-th is in both when more than r are told.
  const earlier = cast(less(expandDims(iota(width), 0), expandDims(iota(width), 1)), "float32"); // [W, W]
  const rank = sum(mul(cast(equal(expandDims(answers, 3), expandDims(answers, 2)), "float32"), earlier), { axes: 3 });
  const common = sum(cast(and(greater(sum(same, { axes: 3 }), rank), greater(isAccepted, 0)), "float32"), { axes: 2 });
  const scores = div(mul(common, 2), maximum(add(toldCount, acceptedCount), 1));
  // The i-th word told must be the i-th accepted one.
  const order = cumsum(isTold, 1, { exclusive: true }); // [B, M]
  const isPlace = equal(expandDims(cast(iota(width), "float32"), 1), expandDims(order, 1)); // [B, W, M]
  const inPlace = sum(mul(same, expandDims(cast(isPlace, "float32"), 1)), { axes: [2, 3] }); // [B, A]
  const isExact = and(and(equal(inPlace, toldCount), equal(toldCount, acceptedCount)), greater(acceptedCount, 0));
  return { exact: max(cast(isExact, "float32"), { axes: 1 }), overlap: max(scores, { axes: 1 }) };
}
