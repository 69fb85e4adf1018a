/** Sums over all scored tokens of an evaluation. A row counts if at least one of its tokens is scored. */
export type EvalTotals = {
  /** −Σ ln p(target), in nats. */
  readonly lossSum: number;
  readonly tokens: number;
  /** Tokens whose target is the most likely one. Absent where answers are densities, which are not right or wrong. */
  readonly correct?: number;
  readonly rows: number;
  /** Rows in which every scored token is correct, as greedy decoding would need. Absent as `correct`. */
  readonly exactRows?: number;
  /** Sum over rows of how much of an accepted answer is told, F1 of their words. Present where answers are spans. */
  readonly overlap?: number;
};

/** A figure to report, computed from the totals of an evaluation. */
export type Metric = {
  readonly name: string;
  readonly label: string;
  readonly better: "lower" | "higher";
  /** Whether it says in another way what the others say: tables of a comparison leave it out. Default: false. */
  readonly isDetail?: true;
  value(totals: EvalTotals): number;
};

/** Mean negative log likelihood of a scored token, in nats. */
export const loss: Metric = {
  name: "loss",
  label: "loss (nats per token)",
  better: "lower",
  value: ({ lossSum, tokens }) => lossSum / tokens,
};

/** The share of scored tokens predicted correctly. */
export const tokenAccuracy: Metric = {
  name: "tokenAccuracy",
  label: "token accuracy",
  better: "higher",
  value: ({ correct = Number.NaN, tokens }) => correct / tokens,
};

/** Bits per value of a picture or another signal: `loss / ln 2`, where each value is a token. */
export const bitsPerDimension: Metric = {
  name: "bitsPerDimension",
  label: "bits per dimension",
  better: "lower",
  value: (totals) => loss.value(totals) / Math.LN2,
};

/** Mean negative log likelihood of a value of a picture, in nats. */
export const valueLoss: Metric = { ...loss, label: "loss (nats per dimension)" };

/** Mean negative log likelihood of the class of a row, in nats. */
export const classLoss: Metric = { ...loss, label: "loss (nats per row)" };

/** Mean negative log density of the points of a row, in nats: minus the log-likelihood per point. Below 0 where densities are above 1. */
export const pointLoss: Metric = { ...loss, label: "loss (nats per point)" };

/** Mean distance of a number that is told from the true one. */
export const absoluteError: Metric = { ...loss, label: "mean absolute error" };

/** The share of rows whose class is predicted correctly. */
export const accuracy: Metric = { ...tokenAccuracy, name: "accuracy", label: "accuracy" };

/** The share of rows in which all scored tokens are correct. */
export const exactAccuracy: Metric = {
  name: "exactAccuracy",
  label: "exact accuracy",
  better: "higher",
  value: ({ exactRows = Number.NaN, rows }) => exactRows / rows,
};

/** Mean negative log likelihood of the ends of an answer, in nats. */
export const spanLoss: Metric = { ...loss, label: "loss (nats per end)" };

/** The share of questions whose answer has the words of an accepted one. */
export const exactMatch: Metric = { ...exactAccuracy, name: "exactMatch", label: "exact match" };

/** F1 of the words told and accepted, the mean over questions. */
export const tokenF1: Metric = {
  name: "tokenF1",
  label: "token F1",
  better: "higher",
  value: ({ overlap = Number.NaN, rows }) => overlap / rows,
};

/** Bits per character of text: `loss / ln 2 · tokensPerCharacter`. It does not depend on what a token is. */
export function bitsPerCharacter(tokensPerCharacter: number): Metric {
  return {
    name: "bitsPerCharacter",
    label: "bits per character",
    better: "lower",
    value: (totals) => (loss.value(totals) / Math.LN2) * tokensPerCharacter,
  };
}

/** Bits per byte of text as UTF-8: `loss / ln 2 · tokensPerByte`. It does not depend on what a token is. */
export function bitsPerByte(tokensPerByte: number): Metric {
  return {
    ...bitsPerCharacter(tokensPerByte),
    name: "bitsPerByte",
    label: "bits per byte",
    isDetail: true,
  };
}

/** `exp(loss)`: only figures of the same tokens compare. */
export const perplexity: Metric = {
  name: "perplexity",
  label: "perplexity per token",
  better: "lower",
  isDetail: true,
  value: (totals) => Math.exp(loss.value(totals)),
};

/** Perplexity per word: `exp(loss · tokensPerWord)`. It does not depend on what a token is. */
export function wordPerplexity(tokensPerWord: number): Metric {
  return {
    name: "wordPerplexity",
    label: "perplexity per word",
    better: "lower",
    isDetail: true,
    value: (totals) => Math.exp(loss.value(totals) * tokensPerWord),
  };
}

/** The share of rows of two sentences of which is told rightly whether the second follows the first: these are the exact rows. */
export const nextSentenceAccuracy: Metric = {
  ...exactAccuracy,
  name: "nextSentenceAccuracy",
  label: "next-sentence accuracy",
};
