/**
 * The known name that a mistyped one was probably meant to be, or `undefined` if none is close. Close means that at most a third of its
 * characters differ (one for short names), counting insertions, deletions, substitutions and swaps of neighbours; or that it begins
 * or ends with the typed name.
 */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const wanted = normal(typed);
  const ranked = known
    .map((name) => ({ name, distance: editDistance(wanted, normal(name)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best !== undefined && best.distance <= Math.max(1, Math.floor(Math.max(wanted.length, best.name.length) / 3))) {
    return best.name;
  }
  if (wanted.length < 3) return undefined;
  return known.find((name) => normal(name).startsWith(wanted) || normal(name).endsWith(wanted));
}

/** `; did you mean "alibi"?`, or an empty string if no name is close. */
export function suggestion(typed: string, known: readonly string[], show: (name: string) => string = quoted): string {
  const name = nearest(typed, known);
  return name === undefined ? "" : `; did you mean ${show(name)}?`;
}

/** The end of an error about an unknown name: `; did you mean "alibi"? Expected one of rotary, alibi` */
export function expectation(typed: string, known: readonly string[]): string {
  const near = suggestion(typed, known);
  return `${near === "" ? "; expected" : `${near} Expected`} one of ${known.join(", ")}`;
}

function quoted(name: string): string {
  return JSON.stringify(name);
}

/** `learning_rate`, `learning-rate` and `learningRate` count as one name. */
function normal(name: string): string {
  return name.toLowerCase().replace(/[-_\s]/g, "");
}

/** Optimal string alignment: edits of one character, and swaps of two neighbours. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(previous[j]! + 1, row[j - 1]! + 1, change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}
