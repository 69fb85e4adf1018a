import { join } from "node:path";
import { type ModelName, models } from "../models/index.ts";
import { fingerprint } from "../run/canonical-json.ts";
import type { Choice } from "../run/catalogue.ts";
import { ConfigError, parseRunConfig, type RunConfig } from "../run/config.ts";

/** What is compared: every model with every position scheme and every seed. */
export type CompareOptions = {
  /** Settings that all runs share; options of its model and position apply to the compared ones of the same kind. */
  readonly config: RunConfig & { readonly length: number };
  readonly models: readonly string[];
  /** Position schemes of models that take any ({@link takesAnyPosition}); other models run once, with their own. */
  readonly positions: readonly string[];
  readonly seeds: number;
  /** Lengths at which the loss is measured, in tokens. */
  readonly lengths: readonly number[];
  /** Tokens scored in each of these evaluations. Default: the task's own number. */
  readonly testTokens?: number;
  /** Fingerprint of the data: results on other data are not reused. */
  readonly data: string;
};

/** The job of a run's process: everything that its result depends on. */
export type RunJob = {
  readonly config: RunConfig & { readonly length: number };
  readonly lengths: readonly number[];
  readonly testTokens?: number;
  readonly data: string;
};

/** A run that is not made yet. */
export type PlannedRun = {
  readonly id: string;
  readonly variant: string;
  readonly seed: number;
  /** Named by a hash of the job: a run with another configuration has another directory. */
  readonly directory: string;
  readonly job: RunJob;
};

/** Whether a model takes any position scheme instead of its own. */
export function takesAnyPosition(model: string): boolean {
  const entry = models[model as ModelName];
  return entry.category === "decoder" && entry.anyPosition;
}

/**
 * Plans the runs of a comparison. Seeds vary slowest, so that a first result of every variant comes early.
 *
 * @throws ConfigError when position schemes are given that no compared model takes, or the configured one is not among those compared
 */
export function planRuns(options: CompareOptions, directory: string): PlannedRun[] {
  const { config, lengths, testTokens, seeds, data } = options;
  requireTakers(options);
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

function requireTakers({ config: { position }, models: names, positions }: CompareOptions): void {
  if (positions.length > 0 && !names.some(takesAnyPosition)) {
    const owners = `${names.join(" and ")} ${names.length === 1 ? "has its own" : "have their own"}`;
    const takers = Object.keys(models).filter(takesAnyPosition).join(", ");
    throw new ConfigError(`positions ${positions.join(", ")}: ${owners}; a model that takes any is ${takers}`);
  }
  if (position !== undefined && !positions.includes(position.kind))
    throw new ConfigError(`position ${position.kind} is set, but not among those that are compared`);
}

function variantsOf(name: string, { config, positions }: CompareOptions): { model: Choice; position?: Choice }[] {
  const known = Object.keys(models[name as ModelName].options().shape);
  // Options of the configuration's model that this one has too: width, layers and heads are the same for all.
  const { kind: _, ...given } = config.model;
  const shared = Object.fromEntries(Object.entries(given).filter(([option]) => known.includes(option)));
  const model = { kind: name, ...shared };
  if (!takesAnyPosition(name) || positions.length === 0) return [{ model }];
  return positions.map((kind) => ({ model, position: config.position?.kind === kind ? config.position : { kind } }));
}
