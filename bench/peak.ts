import { type Bench, compareRow, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { ourSide, pytorchSide } from "./sides.ts";

/** What a child of this bench is asked for: products of square float32 matrices of these sizes. */
export type PeakJob = { readonly sizes: readonly number[]; readonly repeats: number; readonly threads: number };

/** What it prints: the fastest product's rate in GFLOP/s, 2n³ operations counted. */
export type PeakResult = { readonly gflopsPerSecond: number };

const job: PeakJob = { sizes: [1024, 2048], repeats: 12, threads: 2 };
const name = "matrix product";

/** The best rate of matrix products on this machine: figures are also told as shares of it, which mean the same on any machine. */
export const peak: Bench = {
  name: "peak",
  about: "the rate of matrix products that ONNX Runtime and PyTorch reach here",
  run: async ({ rounds }) => {
    const sides = [ourSide("peak", job), pytorchSide("peak.py", job)];
    const [ours, peer] = (await measureInTurn(sides, Math.max(2, rounds), check)).map((rates) =>
      rates.length === 0 ? null : Math.max(...rates),
    );
    return [compareRow(name, "rate, fastest", "GFLOP/s", "higher", ours!, peer!, sides[1]!.name)];
  },
};

function check(result: unknown, side: Side): number {
  const { gflopsPerSecond } = result as PeakResult;
  if (!(gflopsPerSecond > 0)) throw new Error(`${side.name}: expected a rate above 0 GFLOP/s, got ${gflopsPerSecond}`);
  return gflopsPerSecond;
}

/** Rates of matrix products in GFLOP/s: ONNX Runtime's, and that of the fastest side. */
export type Peaks = { readonly runtime: number; readonly machine: number };

/** The rates that a run measured; undefined when ours is not among its rows. */
export function peaksOf(rows: readonly Row[]): Peaks | undefined {
  const found = rows.find((row) => row.name === name);
  if (found?.ours == null) return undefined;
  return { runtime: found.ours, machine: Math.max(found.ours, found.peer ?? 0) };
}

const secondsOf: Readonly<Record<string, number>> = { ms: 1e-3, s: 1 };

/**
 * Each row of a time, or of tokens a second, whose arithmetic is known, followed by what it reaches of the machine's peak and of ONNX Runtime's own:
 * `gflop / time / peak`, in percent. Counted are the products that the definition needs, so recomputation lowers the share.
 */
export function withShares(rows: readonly Row[], peaks: Peaks): Row[] {
  return rows.flatMap((row) => {
    const { gflop } = row;
    const second = secondsOf[row.unit];
    if (gflop === undefined || (second === undefined && row.unit !== "tokens/s")) return [row];
    const rate = (value: number) => (second === undefined ? gflop * value : gflop / (value * second));
    const share = (value: number | null, of: number): number | null =>
      value === null ? null : (100 * rate(value)) / of;
    const shareRow = (what: string, of: number): Row => ({
      ...compareRow(
        row.name,
        `${row.metric}: of ${what}`,
        "%",
        "higher",
        share(row.ours, of),
        share(row.peer, of),
        row.peerName,
      ),
      ...(row.length !== undefined && { length: row.length }),
    });
    return [row, shareRow("the machine's peak", peaks.machine), shareRow("ONNX Runtime's", peaks.runtime)];
  });
}
