import type { Device } from "@tsformers/engine";
import { type VerifyRow, verifyDirectory } from "../compare/verify.ts";

export type VerifyCommandOptions = {
  /** "cpu" unless told. */
  readonly device?: string;
  /** Prints one JSON object instead of a table. */
  readonly json?: boolean;
  readonly print?: (text: string) => void;
  /** Opens a device by name. */
  readonly open: (name: string) => Promise<Device>;
};

/**
 * `tsformers verify DIR`: runs every stored case of a checkpoint and prints the largest error of each tensor beside its
 * tolerance.
 *
 * @returns the exit code: 0 when every tensor is within its tolerance, 1 when one is beyond
 * @throws Error when the directory cannot be verified at all
 */
export async function runVerify(directory: string, options: VerifyCommandOptions): Promise<number> {
  const { device: name = "cpu", json = false, print = console.log } = options;
  const device = await options.open(name);
  try {
    const rows = await verifyDirectory(directory, { device });
    const ok = rows.every((row) => row.ok);
    print(json ? JSON.stringify({ directory, device: name, ok, rows: rows.map(jsonRow) }, undefined, 2) : table(rows));
    return ok ? 0 : 1;
  } finally {
    await device.close();
  }
}

/** JSON has no infinity: an error beyond all numbers is null there. */
function jsonRow(row: VerifyRow): Record<string, unknown> {
  return { ...row, largestError: Number.isFinite(row.largestError) ? row.largestError : null };
}

function table(rows: readonly VerifyRow[]): string {
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
