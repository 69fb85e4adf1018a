import { cpus, loadavg } from "node:os";
import type { Row } from "./bench.ts";

/** Where figures were measured. */
export type Machine = {
  readonly processor: string;
  readonly cores: number;
  /** Load over one minute at the start: above about 0.3, trust the fastest figures only. */
  readonly load: number;
  readonly node: string;
};

/** What one bench gave. */
export type BenchResult = {
  readonly name: string;
  /** How long the whole bench took. */
  readonly seconds: number;
  /** Why it gave no rows, or not all. */
  readonly failure?: string;
  readonly rows: readonly Row[];
};

/** What `--json` writes: after every bench, so that a run that is cut short leaves what it had. */
export type BenchReport = { readonly machine: Machine; readonly benches: readonly BenchResult[] };

export function thisMachine(): Machine {
  const processors = cpus();
  const load = Number(loadavg()[0]!.toFixed(2));
  const processor = processors[0]?.model.trim() ?? "unknown processor";
  return { processor, cores: processors.length, load, node: process.version };
}
