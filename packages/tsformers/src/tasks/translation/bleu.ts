import { tokenize13a } from "./tokenize-13a.ts";

/** How well translations agree with references. */
export type Bleu = {
  /** 0 … 100. */
  readonly score: number;
  /** Share of the translations' n-grams that are in their references, n = 1 … 4, in percent; smoothed where there are none. */
  readonly precisions: readonly number[];
  /** Factor for translations that are shorter than the references, 0 … 1. */
  readonly brevityPenalty: number;
  /** Tokens of all translations, and of all references. */
  readonly length: number;
  readonly referenceLength: number;
};

const longest = 4;

/**
 * BLEU of a corpus with one reference for each translation: `100 · brevity · (Π precision_n)^¼` for n-grams of 1 to 4 tokens, where an n-gram counts as
 * often as it is in the reference, and `brevity = exp(1 − referenceLength / length)` where translations are shorter. It equals sacreBLEU with its
 * defaults (tokenisation `13a`, smoothing `exp`): the k-th order without any match has the precision `1 / (2ᵏ · n-grams)`.
 *
 * @throws RangeError when there are not as many references as translations, or none
 * @source Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation", §2
 * @source Post 2018, "A Call for Clarity in Reporting BLEU Scores", arXiv:1804.08771 (sacreBLEU)
 */
export function bleu(translations: readonly string[], references: readonly string[]): Bleu {
  if (translations.length === 0 || translations.length !== references.length)
    throw new RangeError(
      `bleu: expected a reference for each translation, and at least one, got ${references.length} for ${translations.length}`,
    );
  const [matched, all] = [new Array<number>(longest).fill(0), new Array<number>(longest).fill(0)];
  let [length, referenceLength] = [0, 0];
  translations.forEach((translation, i) => {
    const [own, other] = [tokenize13a(translation), tokenize13a(references[i]!)];
    length += own.length;
    referenceLength += other.length;
    for (let n = 1; n <= longest; n++) {
      const wanted = countNgrams(other, n);
      for (const [ngram, count] of countNgrams(own, n)) {
        all[n - 1]! += count;
        matched[n - 1]! += Math.min(count, wanted.get(ngram) ?? 0);
      }
    }
  });
  const brevityPenalty = length >= referenceLength ? 1 : length === 0 ? 0 : Math.exp(1 - referenceLength / length);
  const precisions = smoothed(matched, all);
  const meanLog = precisions.reduce((sum, precision) => sum + Math.log(precision), 0) / longest;
  return { score: brevityPenalty * Math.exp(meanLog), precisions, brevityPenalty, length, referenceLength };
}

/** Precisions in percent; all 0 where nothing matches, and 0 for orders without n-grams. */
function smoothed(matched: readonly number[], all: readonly number[]): number[] {
  if (matched.every((count) => count === 0)) return matched.map(() => 0);
  let divisor = 1;
  return matched.map((count, i) => {
    if (all[i] === 0) return 0;
    if (count === 0) divisor *= 2;
    return (100 * (count || 1 / divisor)) / all[i]!;
  });
}

/** How often each n-gram occurs. Tokens hold no spaces. */
function countNgrams(tokens: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= tokens.length; i++) {
    const ngram = tokens.slice(i, i + n).join(" ");
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
  }
  return counts;
}
