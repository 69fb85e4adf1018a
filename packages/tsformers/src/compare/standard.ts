import type { RunConfigInput } from "../run/config.ts";

/** Default settings for a task. */
export type Standard = Partial<RunConfigInput>;

/**
 * For generated text: a first look that takes about a minute on two cores. Small, but large enough for schemes to differ.
 */
const grammar: Standard = {
  model: { kind: "gpt", layers: 2, modelWidth: 64, heads: 4 },
  length: 64,
  steps: 500,
  batchSize: 16,
  learningRate: 3e-3,
  evalEvery: 100,
  evalTokens: 4096,
};

const textLength = 128;
/** Tokens of an update on real text, whatever the length of its rows. */
const textTokens = 2048;

/** For real text, at the length of the README's table: one to two minutes for each run on two cores. */
const text: Standard = {
  model: { kind: "gpt", layers: 4, modelWidth: 128, heads: 4 },
  length: textLength,
  steps: 1000,
  learningRate: 2e-3,
  evalEvery: 100,
  evalTokens: 16_384,
};

/** Rows longer than this are long. */
const longLength = 256;

/**
 * For text in long rows, where attention takes most of the time: about two minutes for each run at length 1,024, measured up to 8,192.
 * Positions are rotary: with learned ones all mechanisms are still at the loss of pairs of letters after twice as many steps.
 */
const longText: Standard = {
  ...text,
  model: { kind: "gpt", layers: 2, modelWidth: 128, heads: 4, position: { kind: "rotary" } },
  steps: 500,
};

/** For tasks of generated symbols. */
const symbols: Standard = {
  model: { kind: "gpt", layers: 2, modelWidth: 64, heads: 4 },
  steps: 1000,
  batchSize: 32,
  learningRate: 2e-3,
};

/** For rows with a class: encoders, with positions that go on beyond the training length. */
const classes: Standard = {
  ...symbols,
  model: { kind: "bert", layers: 2, modelWidth: 64, heads: 4, position: { kind: "sinusoidal" } },
  evalTokens: 65_536,
};

/**
 * For ListOps: about a minute for each run. Trees of 32 to 128 symbols, from which longer ones can be read, too: at 512 it takes many times as long
 * until anything is learned.
 */
const listOps: Standard = { ...classes, length: 128, steps: 600 };

/** For sets of points and of other vectors: encoders without positions, since the order of a set says nothing. About a minute for each run on two cores. */
const points: Standard = {
  ...symbols,
  model: { kind: "bert", layers: 2, modelWidth: 64, heads: 4, position: { kind: "none" } },
  evalTokens: 16_384,
};

/** For tasks of which a model writes a sequence while it reads another. */
const pairs: Standard = { ...symbols, model: { kind: "transformer", layers: 2, modelWidth: 64, heads: 4 } };

const ownStandards: Readonly<Record<string, Standard>> = {
  babi: classes,
  "classify-text": classes,
  listops: listOps,
  majority: classes,
  max: classes,
  "max-regression": points,
  mixture: points,
  parity: classes,
  pathfinder: classes,
  pixels: classes,
  proteins: classes,
  retrieval: classes,
  scan: pairs,
  translation: pairs,
  unique: classes,
  "unique-characters": points,
};

/**
 * The default settings of a comparison on a task.
 *
 * @param task.length length of the rows, if it is given: longer rows of text come in smaller batches, so that an update costs about the same
 */
export function standardFor(task: {
  readonly kind: string;
  readonly data?: unknown;
  readonly length?: number | undefined;
}): Standard {
  const { kind, data, length = textLength } = task;
  if (kind !== "text") return ownStandards[kind] ?? symbols;
  if (data === undefined && length <= longLength) return grammar;
  const batchSize = Math.max(1, Math.round(textTokens / Math.max(1, length)));
  return { ...(length > longLength ? longText : text), batchSize };
}
