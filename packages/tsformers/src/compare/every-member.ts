import type { MixerEntry } from "../attention/index.ts";
import type { PatternEntry } from "../attention/patterns/index.ts";
import { mixers } from "../catalogue/mixers.ts";
import { models } from "../catalogue/models.ts";
import { patterns } from "../catalogue/patterns.ts";
import type { ModelEntry } from "../models/index.ts";

/**
 * A variant for every mechanism, every pattern, and every model whose layers are its own, as partial configurations: causal in `gpt` where that
 * can be, otherwise in `bert`.
 */
export function everyMember(): Record<string, unknown>[] {
  // Vectors of positions that are added to inputs go with every mechanism.
  const position = { kind: "sinusoidal" };
  const inModel = (part: object, causal: boolean) => ({ model: { kind: causal ? "gpt" : "bert", position, ...part } });
  return [
    ...Object.values<MixerEntry>(mixers)
      .filter(({ name }) => !helpers.has(name))
      .map(({ name, directions }) => inModel({ mixer: { kind: name } }, directions.includes("causal"))),
    ...Object.values<PatternEntry>(patterns)
      .filter(({ name }) => name !== "full")
      .map(({ name, directions }) => inModel({ pattern: { kind: name } }, directions.includes("causal"))),
    ...Object.values<ModelEntry>(models)
      .filter(({ name }) => own.has(name))
      .map(({ name }) => ({ model: { kind: name } })),
  ];
}

/** Mechanisms that stand before others, and by themselves see almost nothing. */
const helpers: ReadonlySet<string> = new Set(["short-convolution"]);

/** Models that are more than layers of a known mechanism. */
const own: ReadonlySet<string> = new Set([
  "transformer-xl",
  "memorizing-transformer",
  "gtrxl",
  "compressive-transformer",
  "universal-transformer",
  "reformer",
  "longformer",
  "bigbird",
]);
