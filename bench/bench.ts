/** One number of ours beside a peer's; `ratio > 1` means ours is better. Absent numbers are null. */
export type Row = {
  readonly name: string;
  readonly metric: string;
  readonly unit: string;
  readonly ours: number | null;
  readonly peer: number | null;
  readonly peerName: string | null;
  readonly ratio: number | null;
  /** For benches that measure at several lengths of a sequence. */
  readonly length?: number;
  /** Of a time: the matrix products behind it, in 10⁹ floating point operations, of tokens a second: those of a token. Makes rows of its share of the peak. */
  readonly gflop?: number;
};

/** How a bench was asked to run. */
export type BenchOptions = {
  /** Times each side is measured, in turn. */
  readonly rounds: number;
  /** What to measure, of a bench of many things; all unless told. */
  readonly only?: readonly string[];
  /** Lengths to measure at, of a bench that does so at several. */
  readonly lengths?: readonly number[];
  /** All benches are run, one after another: those that take long confine themselves to what is reported. */
  readonly isWhole?: true;
  /** Whether a bench that takes long with its peers measures them too. */
  readonly peers?: boolean;
};

/** A bench: a name for the command line, one line for its help, and what it measures. */
export type Bench = {
  readonly name: string;
  readonly about: string;
  readonly run: (options: BenchOptions) => Promise<Row[]>;
  /** Takes so long that it runs only when it is named. */
  readonly onlyWhenNamed?: true;
  /** Belongs to no report: `all` leaves it out, too. */
  readonly onlyByName?: true;
  /** The rows as text; one line for each unless told. */
  readonly table?: (rows: readonly Row[]) => string;
};

/** Which direction of a metric is good. */
export type Better = "lower" | "higher";

/** A row from two numbers, its ratio turned so that more than 1 means ours is better. */
export function compareRow(
  name: string,
  metric: string,
  unit: string,
  better: Better,
  ours: number | null,
  peer: number | null,
  peerName: string | null,
): Row {
  const known = ours !== null && peer !== null && ours > 0 && peer > 0;
  const ratio = known ? (better === "lower" ? peer / ours : ours / peer) : null;
  return { name, metric, unit, ours, peer, peerName, ratio };
}

/** The smallest value. */
export function least(values: readonly number[]): number {
  return Math.min(...values);
}

/** The middle value, or the mean of the two middle ones; an empty list is an error. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error("median: expected at least one value, got none");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
