import type { Device } from "@tsformers/engine";
import { type VerifyRow, verifyDirectory } from "../verify/verify.ts";
import { Failure } from "./exit.ts";

/**
 * Runs every stored case of a checkpoint or mechanism.
 *
 * @throws Failure of kind "unsupported", which names the directory, when it cannot be verified
 */
export async function verifyRows(directory: string, device: Device): Promise<VerifyRow[]> {
  try {
    return await verifyDirectory(directory, { device });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Failure("unsupported", message.startsWith(directory) ? message : `${directory}: ${message}`);
  }
}

/** JSON has no infinity: an error beyond all numbers is null there. */
export function jsonRow(row: VerifyRow): Record<string, unknown> {
  return { ...row, largestError: Number.isFinite(row.largestError) ? row.largestError : null };
}

/** The largest error of each tensor beside its tolerance. */
export function verifyTable(rows: readonly VerifyRow[]): string {
  const cells = rows.map((row) => [
    row.case,
    row.tensor,
    row.largestError.toExponential(1),
    row.tolerance,
    row.ok ? "ok" : "BEYOND",
  ]);
  const all = [["case", "tensor", "largest error", "tolerance", ""], ...cells];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const lines = all.map((line) =>
    line
      .map((cell, column) => (column === 2 ? cell.padStart(widths[2]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
  const beyond = rows.filter(({ ok }) => !ok).length;
  const cases = new Set(rows.map((row) => row.case)).size;
  const verdict = beyond === 0 ? "all within tolerance" : `${beyond} beyond tolerance`;
  return [...lines, "", `${rows.length} tensors of ${cases} cases: ${verdict}`].join("\n");
}
