import { counted, type Ending, type GenerateOptions } from "./generate.ts";
import { requireLogits } from "./sampling.ts";

export type BeamOptions = Pick<GenerateOptions, "count" | "endTokens" | "stopTokens" | "forbiddenTokens" | "signal"> & {
  /** The first token of the target. */
  readonly start: number;
  /** Candidates kept at each step. Default: 1, greedy decoding. */
  readonly beams?: number;
  /** Scores are log-probabilities divided by length to this power; 0 favours short targets. Default: 1. */
  readonly lengthPenalty?: number;
};

/** A target without its start and end tokens, its score, and why it ended. */
export type Hypothesis = { readonly tokens: readonly number[]; readonly score: number; readonly ended: Ending };

/** The search for the targets of one source, step by step. */
export type BeamSearch = {
  /** Whether no live beam can become one of the best. */
  readonly isDone: boolean;
  /** What each of the beams reads next, and which beam of the step before it goes on from. */
  next(): { readonly tokens: readonly number[]; readonly parents: readonly number[] };
  /** @param logs log-probabilities [beams, V] of what follows */
  take(logs: Float32Array): void;
  /** The best targets, best first. @param ended why those ended that did not end themselves */
  best(ended: Ending): Hypothesis[];
};

type Beam = { readonly tokens: readonly number[]; readonly sum: number; readonly parent: number };

/** @source Wu et al. 2016, "Google's Neural Machine Translation System", §7, arXiv:1609.08144; here the penalty is lengthᵅ */
export function beamSearch(options: BeamOptions & { readonly maxLength: number }): BeamSearch {
  const { maxLength, start, beams = 1, lengthPenalty = 1 } = options;
  const { endTokens = [], stopTokens = [], forbiddenTokens = [] } = options;
  const endings = new Map<number, Ending>([
    ...stopTokens.map((token) => [token, "stop"] as const),
    ...endTokens.map((token) => [token, "end token"] as const),
  ]);
  const forbidden = new Set(forbiddenTokens);
  const score = (sum: number, length: number) => sum / length ** lengthPenalty;
  let live: Beam[] = [{ tokens: [], sum: 0, parent: 0 }];
  let finished: Hypothesis[] = [];
  let length = 0;
  return {
    get isDone() {
      return live.length === 0;
    },
    next: () => {
      // A program always continues `beams` targets; missing ones repeat the first, and their results are ignored.
      const rows = Array.from({ length: beams }, (_, i) => live[i] ?? live[0]);
      return { tokens: rows.map((row) => row?.tokens.at(-1) ?? start), parents: rows.map((row) => row?.parent ?? 0) };
    },
    take: (logs) => {
      if (live.length === 0) return;
      const vocabulary = logs.length / beams;
      for (const [row] of live.entries()) {
        const own = logs.subarray(row * vocabulary, (row + 1) * vocabulary);
        requireLogits(own, `decode: after ${counted(length)}`, forbiddenTokens);
      }
      const next: Beam[] = [];
      // Enough continuations for all beams even if every end token is among them.
      const limit = Math.max(2, 1 + endings.size) * beams;
      continuations(live, logs, vocabulary, forbidden, limit).forEach(({ parent, token, sum }, rank) => {
        const { tokens } = live[parent]!;
        const ended = endings.get(token);
        if (ended !== undefined) {
          if (rank < beams) finished.push({ tokens, score: score(sum, tokens.length + 1), ended });
        } else if (next.length < beams) next.push({ tokens: [...tokens, token], sum, parent });
      });
      finished = finished.sort((a, b) => b.score - a.score).slice(0, beams);
      live = next;
      // Sums only fall, so no live beam can score better than this. A single beam is greedy: the first end is final.
      const bound = Math.max(...live.map(({ sum }) => Math.max(score(sum, maxLength), score(sum, length + 2))));
      if (finished.length === beams && (beams === 1 || finished.at(-1)!.score >= bound)) live = [];
      length++;
    },
    best: (ended) => {
      const rest = live.map(({ tokens, sum }) => ({ tokens, score: score(sum, Math.max(tokens.length, 1)), ended }));
      return [...finished, ...rest].sort((a, b) => b.score - a.score).slice(0, beams);
    },
  };
}

type Continuation = { readonly parent: number; readonly token: number; readonly sum: number };

/** The `limit` most likely continuations of any of the beams, best first; of equally likely ones the first beam's, the lowest token. */
function continuations(
  live: readonly Beam[],
  logs: Float32Array,
  vocabulary: number,
  forbidden: ReadonlySet<number>,
  limit: number,
): Continuation[] {
  const best: Continuation[] = [];
  live.forEach((beam, parent) => {
    for (let token = 0; token < vocabulary; token++) {
      const sum = beam.sum + logs[parent * vocabulary + token]!;
      if (sum === Number.NEGATIVE_INFINITY || (best.length === limit && sum <= best.at(-1)!.sum)) continue;
      if (forbidden.has(token)) continue;
      let place = best.length;
      while (place > 0 && best[place - 1]!.sum < sum) place--;
      best.splice(place, 0, { parent, token, sum });
      if (best.length > limit) best.pop();
    }
  });
  return best;
}
