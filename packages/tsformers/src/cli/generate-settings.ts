import { listed } from "../generate/generate.ts";
import type { Generator, WriteOptions } from "../run/open-generator.ts";
import { kebab } from "../schema/kebab.ts";
import { present } from "../schema/present.ts";
import { UsageError } from "./exit.ts";

export type GenerateFlags = {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly promptTokens?: readonly number[];
  readonly promptsFile?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly beams?: number;
  readonly lengthPenalty?: number;
  readonly stop?: readonly string[];
  readonly stopTokens?: readonly number[];
  readonly store?: string;
  readonly nearest?: number;
  readonly lambda?: number;
  readonly ignoreEnd?: true;
  readonly output?: string;
  readonly pictures?: number;
  readonly complete?: true;
  readonly input?: string;
  readonly device: "cpu" | "webgpu" | "cuda";
  readonly json?: true;
};

/** Default of `--max-tokens`. */
export const usualTokens = 200;

/** Flags that would do nothing, and why. What depends on the model is asked once that is open. */
type Rule = {
  readonly flags: readonly (keyof GenerateFlags)[];
  readonly when: (flags: GenerateFlags, generator: Generator | undefined) => boolean;
  readonly because: string;
};

const rules: readonly Rule[] = [
  {
    flags: ["topK", "topP", "seed"],
    when: ({ temperature }) => temperature === 0,
    because: "at --temperature 0 the most likely token is always taken",
  },
  {
    flags: ["temperature", "topP", "seed"],
    when: ({ topK }) => topK === 1,
    because: "with --top-k 1 the most likely token is always taken",
  },
  {
    flags: ["topK", "topP", "seed"],
    when: ({ beams }) => beams !== undefined,
    because: "--beams searches for the most likely sequence and draws nothing",
  },
  {
    flags: ["temperature"],
    when: ({ beams, temperature }) => beams !== undefined && temperature !== 0,
    because: "--beams searches for the most likely sequence and draws nothing",
  },
  {
    flags: ["lengthPenalty"],
    when: ({ beams = 1 }) => beams < 2,
    because: "it compares sequences of different lengths; give --beams 2 or more, too",
  },
  {
    flags: ["stop"],
    when: ({ promptTokens }) => promptTokens !== undefined,
    because: "--prompt-tokens writes numbers, not text; give --stop-tokens",
  },
  {
    flags: ["beams"],
    when: (_, generator) => generator?.category === "decoder",
    because: "this model goes on behind its prompt; beams are for one that reads a sequence and writes another",
  },
  {
    flags: ["nearest", "lambda"],
    when: ({ store }) => store === undefined,
    because: "it is for --store, which is not there",
  },
  {
    flags: ["lambda"],
    when: ({ lambda }) => lambda === 0,
    because: "with a share of 0 the model writes alone",
  },
  {
    flags: ["ignoreEnd"],
    when: (_, generator) => generator?.endTokens.length === 0,
    because: "this model has no end token",
  },
  {
    flags: ["output", "pictures", "complete", "input"],
    when: (_, generator) => generator !== undefined,
    because: "this model writes no pictures",
  },
];

/**
 * Checks what was given against itself and, once it is open, against the model.
 *
 * @throws UsageError when a value makes no sense, or a flag would do nothing
 */
export function requireSense(flags: GenerateFlags, generator?: Generator): void {
  const { temperature, topP, stop = [], stopTokens = [] } = flags;
  for (const { flags: names, when, because } of rules) {
    const idle = names.find((name) => flags[name] !== undefined);
    if (idle !== undefined && when(flags, generator))
      throw new UsageError(`--${kebab(idle)} would do nothing: ${because}`);
  }
  if (temperature !== undefined && temperature < 0)
    throw new UsageError(`--temperature: expected 0 or more, got ${temperature}`);
  if (topP !== undefined && !(topP > 0 && topP <= 1))
    throw new UsageError(`--top-p: expected a number above 0 and at most 1, got ${topP}`);
  if (stop.includes("")) throw new UsageError("--stop: expected at least one character");
  if (generator === undefined) return;
  const { vocabularySize, tokenizer } = generator;
  const wrong = stopTokens.find((token) => token >= vocabularySize);
  if (wrong !== undefined)
    throw new UsageError(`--stop-tokens: expected tokens of 0 … ${vocabularySize - 1}, got ${wrong}`);
  const never = stopTokens.find((token) => forbiddenBy(flags, generator).includes(token));
  if (never !== undefined) throw new UsageError(`--stop-tokens ${never} would do nothing: it is never written`);
  const unknown = stop.flatMap((text) => tokenizer?.unknownIn(text) ?? []);
  if (unknown.length > 0)
    throw new UsageError(`--stop would do nothing: not in this model's alphabet: ${listed(unknown)}`);
}

/** What the flags say to a generator. */
export function writeOptions(flags: GenerateFlags, generator: Generator): WriteOptions {
  const { maxTokens: count = usualTokens, topK, topP, seed, beams, lengthPenalty, stopTokens, ignoreEnd } = flags;
  return {
    count,
    temperature: flags.temperature ?? usualTemperature(flags, generator),
    ...present({ topK, topP, seed, beams, lengthPenalty, stopTokens }),
    ...(ignoreEnd && { endTokens: [], forbiddenTokens: generator.endTokens }),
  };
}

/** An answer is usually wanted as the model knows it, unless something is said of drawing. */
function usualTemperature({ topK, topP, seed }: GenerateFlags, { category }: Generator): number {
  return category === "decoder" || (topK ?? topP ?? seed) !== undefined ? 0.8 : 0;
}

function forbiddenBy(
  { ignoreEnd }: GenerateFlags,
  { endTokens, tokenizer }: Generator,
): readonly (number | undefined)[] {
  return [tokenizer?.unknownToken, ...(ignoreEnd ? endTokens : [])];
}
