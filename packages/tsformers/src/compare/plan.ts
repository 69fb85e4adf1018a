import { join } from "node:path";
import { type ModelName, models } from "../models/index.ts";
import { fingerprint } from "../run/canonical-json.ts";
import type { Choice } from "../run/catalogue.ts";
import { parseRunConfig, type RunConfig } from "../run/config.ts";

/** What is compared: every model with every position scheme under every seed. */
export type CompareOptions = {
  /** What all runs share; its model and position give the options of those that are named. */
  readonly config: RunConfig & { readonly length: number };
  readonly models: readonly string[];
  /** Of models that take any scheme; the others run once, with their own. */
  readonly positions: readonly string[];
  readonly seeds: number;
  /** Lengths at which the loss is measured. */
  readonly lengths: readonly number[];
  /** Tokens of each of these evaluations. */
  readonly testTokens?: number;
  /** Differs when the data differ: results on other data are not taken for these. */
  readonly data: string;
};

/** What a run's process is told: everything that its result depends on. */
export type RunJob = {
  readonly config: RunConfig & { readonly length: number };
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
};

/** The runs of a comparison, seeds last, so that a first result of every variant comes early. */
export function planRuns(options: CompareOptions, directory: string): PlannedRun[] {
  const { config, lengths, testTokens, seeds, data } = options;
  const variants = options.models.flatMap((model) => variantsOf(model, options));
  const manyModels = new Set(variants.map(({ model }) => model.kind)).size > 1;
  return Array.from({ length: seeds }, (_, i) => config.seed + i).flatMap((seed) =>
    variants.map(({ model, position }): PlannedRun => {
      const { position: _, ...shared } = config;
      const own = parseRunConfig(
        { ...shared, model, ...(position === undefined ? {} : { position }), seed },
        "compare",
      );
      const job = {
        config: { ...own, length: config.length },
        lengths,
        data,
        ...(testTokens === undefined ? {} : { testTokens }),
      };
      const parts = [model.kind, ...(position === undefined ? [] : [position.kind])];
      const id = `${parts.join("-")}-seed${seed}`;
      const variant = manyModels || position === undefined ? parts.join(" · ") : position.kind;
      return { id, variant, seed, directory: join(directory, `${id}-${fingerprint(job)}`), job };
    }),
  );
}

function variantsOf(name: string, { config, positions }: CompareOptions): { model: Choice; position?: Choice }[] {
  const entry = models[name as ModelName];
  const known = Object.keys(entry.options.shape);
  // Options of the configuration's model that this one has too: width, layers and heads are the same for all.
  const { kind: _, ...given } = config.model;
  const shared = Object.fromEntries(Object.entries(given).filter(([option]) => known.includes(option)));
  const model = { kind: name, ...shared };
  if (entry.category !== "decoder" || !entry.anyPosition || positions.length === 0) return [{ model }];
  return positions.map((kind) => ({ model, position: config.position?.kind === kind ? config.position : { kind } }));
}
