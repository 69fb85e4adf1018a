import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { fileError } from "../io/file-error.ts";
import { makeFolder } from "../io/make-folder.ts";

/** One line of a metrics file: a step and what was measured at it. */
export type MetricRecord = { readonly step: number; readonly [name: string]: number | string | boolean | null };

/** Appends records to a JSON Lines file. Every record is handed to the operating system before `write` returns. */
export type MetricsLog = {
  write(record: MetricRecord): void;
  close(): void;
};

/**
 * Opens a JSON Lines metrics file: one JSON object per line, in order of steps.
 *
 * Without `resumeAt` the file starts empty. With it, records after that step are removed, since those steps
 * will be made again: the file of an interrupted run reads like that of an uninterrupted one.
 * For this, a step's records must be written before its checkpoint. A last line torn by a crash is removed, too. Numbers that
 * JSON cannot represent (NaN, infinities) are written as `null`.
 *
 * @param options.resumeAt the step of the checkpoint that the run continues from
 * @param options.drop which of the earlier records are removed too, because they will be made again. Default: none
 * @throws Error naming file and line when an earlier file is not a metrics file (a complete line is not an object with a step)
 */
export async function openMetricsLog(
  path: string,
  options: { resumeAt?: number; drop?: (record: MetricRecord) => boolean } = {},
): Promise<MetricsLog> {
  const { resumeAt, drop = () => false } = options;
  const kept =
    resumeAt === undefined ? [] : readMetrics(path).filter((record) => record.step <= resumeAt && !drop(record));
  makeFolder(dirname(path));
  await writeFileAtomic(path, kept.map(toLine).join(""));
  const file = openSync(path, "a");
  return {
    write: (record) => {
      try {
        writeSync(file, toLine(record));
      } catch (error) {
        throw fileError(path, error);
      }
    },
    close: () => closeSync(file),
  };
}

/**
 * The records of a metrics file; none if it does not exist. A torn last line (without a line feed) is left out.
 * @throws Error naming file and line when a complete line is not an object with a step
 */
export function readMetrics(path: string): MetricRecord[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line, index) => parseRecord(line, `${path}:${index + 1}`));
}

function toLine(record: MetricRecord): string {
  return `${JSON.stringify(record)}\n`;
}

const remedy = "; remove this line to go on without it";

function parseRecord(line: string, where: string): MetricRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error(`${where}: expected one JSON object a line, got ${JSON.stringify(line.slice(0, 60))}${remedy}`);
  }
  const isRecord = typeof value === "object" && value !== null && "step" in value && typeof value.step === "number";
  if (!isRecord)
    throw new Error(`${where}: expected an object with a number "step", got ${line.slice(0, 60)}${remedy}`);
  return value as MetricRecord;
}
