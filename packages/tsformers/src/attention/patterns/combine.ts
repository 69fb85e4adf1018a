import { present } from "../../schema/present.ts";
import { intersectRuns, subtractRuns, uniteRuns } from "../core/runs.ts";
import { headsOf, type Pattern, type Runs } from "./pattern.ts";

/**
 * Union: a pair is visible if any of the patterns shows it. Where their orders differ, the executor computes the parts one by one.
 *
 * @throws RangeError when patterns per head do not have the same number of heads
 */
export function union(first: Pattern, ...others: readonly Pattern[]): Pattern {
  return others.reduce(
    (a, b) =>
      combine("or", a, b, (a, b) => {
        const keys = bothKeys(a, b, uniteRuns);
        const sameOrder = a.order === b.order && a.parts === undefined && b.parts === undefined;
        if (sameOrder) return a.order === undefined ? { keys } : { keys, order: a.order };
        return { keys, parts: [...(a.parts ?? [a]), ...(b.parts ?? [b]).map((part) => except(part, a))] };
      }),
    first,
  );
}

/** Intersection: a pair is visible if all of the patterns show it. Uses the order of the first pattern that has one. */
export function intersection(first: Pattern, ...others: readonly Pattern[]): Pattern {
  return others.reduce((a, b) => combine("and", a, b, restrict(intersectRuns, intersection)), first);
}

/** Difference: a pair is visible if `a` shows it and `b` does not. */
export function except(a: Pattern, b: Pattern): Pattern {
  return combine("except", a, b, restrict(subtractRuns, except));
}

/**
 * Head h has pattern h; with more heads than patterns they repeat.
 *
 * @throws RangeError when there is no pattern, or one of them differs by head already
 */
export function perHead(patterns: readonly Pattern[]): Pattern {
  if (patterns.length === 0) throw new RangeError("perHead: expected at least one pattern, got none");
  const nested = patterns.find(({ heads }) => heads !== undefined);
  if (nested !== undefined) throw new RangeError(`perHead: ${nested.name} differs by head already`);
  return {
    name: `per head: ${patterns.map(({ name }) => name).join(", ")}`,
    keys: (query, length) => patterns.map((own) => own.keys(query, length)).reduce(uniteRuns),
    heads: patterns,
  };
}

type Unnamed = Omit<Pattern, "name" | "heads">;

function combine(word: string, a: Pattern, b: Pattern, of: (a: Pattern, b: Pattern) => Unnamed): Pattern {
  const name = `${a.name} ${word} ${b.name}`;
  const [left, right] = [headsOf(a), headsOf(b)];
  if (left.length === 1 && right.length === 1) return { name, ...of(left[0]!, right[0]!) };
  if (left.length !== right.length && left.length !== 1 && right.length !== 1) {
    throw new RangeError(`${name}: the first has patterns for ${left.length} heads, the second for ${right.length}`);
  }
  const heads = Array.from({ length: Math.max(left.length, right.length) }, (_, head) =>
    combine(word, left[head % left.length]!, right[head % right.length]!, of),
  );
  return { ...perHead(heads), name };
}

function bothKeys(a: Pattern, b: Pattern, of: (a: Runs, b: Runs) => Runs): Pattern["keys"] {
  return (query, length) => of(a.keys(query, length), b.keys(query, length));
}

function restrict(of: (a: Runs, b: Runs) => Runs, again: (a: Pattern, b: Pattern) => Pattern) {
  return (a: Pattern, b: Pattern): Unnamed => ({
    keys: bothKeys(a, b, of),
    ...present({ order: a.order }),
    ...(a.parts !== undefined && { parts: a.parts.map((part) => again(part, b)) }),
  });
}
