/** A cost that was measured at a length: of a step with so many rows. */
export type CostPoint = { readonly length: number; readonly rows: number; readonly value: number };

/** A cost as a function of length. */
export type LengthFit = {
  /** The cost of a step with so many rows of a length. */
  at(length: number, rows: number): number;
  /** The largest share by which it misses a measured point; absent where it goes through all because there are so few. */
  readonly residual?: number;
  /** The share by which the longest point is missed by the fit to all others; absent with fewer than three points. */
  readonly heldOut?: number;
  readonly points: number;
  readonly from: number;
  readonly to: number;
};

type CostKind = "time" | "memory";

/** What a cost is made of: never less than nothing of each. */
const terms: Readonly<Record<CostKind, readonly ((length: number, rows: number) => number)[]>> = {
  /** `t = rows · (a·n + b·n²)` */
  time: [(length: number, rows: number) => rows * length, (length: number, rows: number) => rows * length ** 2],
  /** `m = rows · (a·n + b·n²) + c`: activations, attention, parameters and the process itself. */
  memory: [
    (length: number, rows: number) => rows * length,
    (length: number, rows: number) => rows * length ** 2,
    () => 1,
  ],
};

/**
 * Fits a cost to measured points by least squares of relative errors, with coefficients that are not negative.
 *
 * Where rows get fewer as they get longer, so that a step has always as many tokens, `a·rows·n` and `c` cannot be told apart; then the part is
 * given to `a`, which promises less where a step has more tokens.
 *
 * @returns nothing with points at fewer than two lengths
 */
export function fitByLength(points: readonly CostPoint[], kind: CostKind): LengthFit | undefined {
  const sorted = [...points].sort((a, b) => a.length - b.length);
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined || first.length === last.length) return undefined;
  const { at, used } = curve(sorted, kind);
  const errors = sorted.map(({ length, rows, value }) => Math.abs(at(length, rows) / value - 1));
  const shorter = sorted.filter(({ length }) => length < last.length);
  const without = fitByLengthOnce(shorter, kind);
  return {
    at,
    ...(sorted.length > used && { residual: Math.max(...errors) }),
    ...(without !== undefined && { heldOut: Math.abs(without(last.length, last.rows) / last.value - 1) }),
    points: sorted.length,
    from: first.length,
    to: last.length,
  };
}

function fitByLengthOnce(points: readonly CostPoint[], kind: CostKind): LengthFit["at"] | undefined {
  return new Set(points.map(({ length }) => length)).size < 2 ? undefined : curve(points, kind).at;
}

/** The best of all choices of terms whose coefficients come out positive: that is the least-squares fit without negative ones. */
function curve(points: readonly CostPoint[], kind: CostKind): { at: LengthFit["at"]; used: number } {
  const all = terms[kind];
  // Few terms first: more must fit better to be taken.
  const choices = Array.from({ length: 2 ** all.length - 1 }, (_, i) => all.filter((_, term) => (i + 1) & (1 << term)))
    .filter((choice) => choice.length <= points.length)
    .sort((a, b) => a.length - b.length);
  let best: { at: LengthFit["at"]; used: number; error: number } | undefined;
  for (const choice of choices) {
    const coefficients = leastSquares(
      points.map(({ length, rows, value }) => choice.map((term) => term(length, rows) / value)),
    );
    if (coefficients === undefined || coefficients.some((coefficient) => coefficient < 0)) continue;
    const at = (length: number, rows: number) =>
      choice.reduce((sum, term, i) => sum + coefficients[i]! * term(length, rows), 0);
    const error = points.reduce((sum, { length, rows, value }) => sum + (at(length, rows) / value - 1) ** 2, 0);
    if (best === undefined || error < best.error - 1e-9) best = { at, used: choice.length, error };
  }
  // A single term always has a positive coefficient.
  return best!;
}

/** The x for which all `Σ rows[i][j] · x[j]` are nearest to 1; nothing where columns depend on each other. */
function leastSquares(rows: readonly (readonly number[])[]): number[] | undefined {
  const size = rows[0]!.length;
  const scales = Array.from({ length: size }, (_, j) => Math.hypot(...rows.map((row) => row[j]!)));
  const scaled = rows.map((row) => row.map((value, j) => value / scales[j]!));
  const equations = Array.from({ length: size }, (_, i) => [
    ...Array.from({ length: size }, (_, j) => scaled.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
    scaled.reduce((sum, row) => sum + row[i]!, 0),
  ]);
  for (let i = 0; i < size; i++) {
    const pivot = equations[i]![i]!;
    // Columns have length 1: what is left of one is how far it is from those before.
    if (pivot < 1e-8) return undefined;
    for (let row = 0; row < size; row++) {
      if (row === i) continue;
      const factor = equations[row]![i]! / pivot;
      equations[row] = equations[row]!.map((value, j) => value - factor * equations[i]![j]!);
    }
  }
  return equations.map((equation, i) => equation[size]! / equation[i]! / scales[i]!);
}
