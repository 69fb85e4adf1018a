import { join } from "node:path";
import { canonicalJson } from "../run/canonical-json.ts";
import type { RunConfig } from "../run/config.ts";
import { present } from "../schema/present.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Variant } from "./variants.ts";

/** A configuration with the length of its rows. */
export type FullConfig = RunConfig & { readonly length: number };

/** What is compared: every variant under every seed. */
export type Plan = {
  /** Complete, with the length of their rows. */
  readonly variants: readonly (Variant & {
    readonly config: FullConfig;
    /** Differs when the data differ: results on other data are not taken for these. */
    readonly data: string;
  })[];
  /** Runs of each variant, with seeds from its own on. */
  readonly seeds: number;
  /** Lengths at which the loss is measured, and a step. */
  readonly lengths: readonly number[];
  /** Tokens of each of these evaluations. */
  readonly testTokens?: number;
};

/** What a run's process is told: everything that its result depends on. */
export type RunJob = {
  readonly config: FullConfig;
  readonly lengths: readonly number[];
  readonly testTokens?: number;
  readonly data: string;
};

/** A run before it is made. */
export type PlannedRun = {
  readonly id: string;
  readonly variant: string;
  readonly seed: number;
  /** Named for what is in it: a run with another configuration has another directory. */
  readonly directory: string;
  readonly job: RunJob;
  /** Whether steps are measured, too: once for each variant, for they cost the same under every seed. */
  readonly measuresSteps: boolean;
};

/** The runs of a comparison, seeds last, so that a first result of every variant comes early. */
export function planRuns({ variants, seeds, lengths, testTokens }: Plan, directory: string): PlannedRun[] {
  return Array.from({ length: seeds }, (_, i) => i).flatMap((i) =>
    variants.map(({ label, config, data }): PlannedRun => {
      const seed = config.seed + i;
      const job = { config: { ...config, seed }, lengths, data, ...present({ testTokens }) };
      const id = `${fileName(label)}-seed${seed}`;
      const home = join(directory, `${id}-${fingerprint(job)}`);
      return { id, variant: label, seed, directory: home, job, measuresSteps: i === 0 };
    }),
  );
}

/** A label as part of a path on any system. */
function fileName(label: string): string {
  return label.replace(/[^\w.=+-]+/g, "-").slice(0, 80);
}

/** What all configurations agree on, as text: comparisons that share it have the same name. */
export function sharedSettings(configs: readonly RunConfig[]): string {
  const settings = configs.map(flatSettings);
  const shared = [...settings[0]!].filter(([name, value]) => settings.every((other) => other.get(name) === value));
  return canonicalJson(shared);
}

/** Settings by their dotted names, as text. */
function flatSettings(config: RunConfig): Map<string, string> {
  const flat = new Map<string, string>();
  const visit = (value: unknown, name: string): void => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      flat.set(name, canonicalJson(value ?? null));
      return;
    }
    for (const [key, inner] of Object.entries(value)) visit(inner, name === "" ? key : `${name}.${key}`);
  };
  visit(config, "");
  return flat;
}
