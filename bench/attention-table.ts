/** One mechanism at one length; null or absent where it was not measured. */
export type AttentionMeasurement = {
  readonly name: string;
  readonly length: number;
  /** Full attention in the same direction. */
  readonly baseline: string;
  readonly timeMs?: number | null;
  readonly memoryMb?: number | null;
  readonly exponent?: number | null;
  readonly peerTimeMs?: number | null;
  readonly peerMemoryMb?: number | null;
};

const headings = [
  "mechanism",
  "ms",
  "MB",
  "× faster",
  "× smaller",
  "slope",
  "claimed",
  "faster from",
  "smaller from",
  "PyTorch",
] as const;

/**
 * A line for each mechanism: time and memory at the compared length, both as multiples of full attention in the same direction,
 * slope of log time over log length from there to the longest, the claimed exponent, the lengths from which on it is faster and
 * smaller than full attention, and PyTorch's time as a multiple of ours.
 */
export function attentionTable(measurements: readonly AttentionMeasurement[], comparedAt: number): string {
  const lengths = [...new Set(measurements.map(({ length }) => length))].sort((a, b) => a - b);
  const compared = lengths.filter((length) => length <= comparedAt).at(-1) ?? lengths[0];
  const names = [...new Set(measurements.map(({ name }) => name))];
  const lines = names.map((name) => {
    const own = measurements.filter((one) => one.name === name);
    const full = measurements.filter((one) => one.name === own[0]?.baseline);
    const at = own.find(({ length }) => length === compared);
    const fullAt = full.find(({ length }) => length === compared);
    return [
      name,
      number(at?.timeMs),
      number(at?.memoryMb),
      ratio(fullAt?.timeMs, at?.timeMs),
      ratio(fullAt?.memoryMb, at?.memoryMb),
      slope(at, own.at(-1)),
      at?.exponent == null ? "–" : `n^${at.exponent}`,
      crossover(own, full, "timeMs"),
      crossover(own, full, "memoryMb"),
      ratio(at?.peerTimeMs, at?.timeMs),
    ];
  });
  const all = [[...headings], ...lines];
  const widths = headings.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const text = all.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  "),
  );
  const longest = measurements.find(({ name, length }) => name === "full" && length === lengths.at(-1));
  const most =
    longest?.memoryMb == null ? "" : ` Full attention at ${longest.length} takes ${number(longest.memoryMb)} MB.`;
  const note = `At length ${compared}; slope from there to ${lengths.at(-1)}; crossovers among ${lengths.join(", ")}; PyTorch's time over ours.${most}`;
  return [...text, "", note].join("\n");
}

function slope(from: AttentionMeasurement | undefined, to: AttentionMeasurement | undefined): string {
  if (from?.timeMs == null || to?.timeMs == null || to.length <= from.length) return "–";
  return (Math.log(to.timeMs / from.timeMs) / Math.log(to.length / from.length)).toFixed(2);
}

/** The smallest measured length from which on `own` stays below `full`. */
function crossover(
  own: readonly AttentionMeasurement[],
  full: readonly AttentionMeasurement[],
  of: "timeMs" | "memoryMb",
): string {
  if (own[0]?.name === full[0]?.name) return "–";
  let from: number | undefined;
  for (const one of [...own].sort((a, b) => b.length - a.length)) {
    const other = full.find(({ length }) => length === one.length)?.[of];
    const value = one[of];
    if (other == null || value == null) continue;
    if (value >= other) break;
    from = one.length;
  }
  return from === undefined ? "never" : String(from);
}

function number(value: number | null | undefined): string {
  if (value == null) return "–";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function ratio(theirs: number | null | undefined, ours: number | null | undefined): string {
  return theirs == null || ours == null ? "–" : `${(theirs / ours).toFixed(2)}×`;
}
