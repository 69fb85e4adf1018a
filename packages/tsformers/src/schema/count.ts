import * as z from "zod";

/**
 * A whole number of a configuration, from `least` to `most`. The error gives the bounds and the reason for the upper one:
 * `expected a whole number from 1 to 128 (deeper graphs take ONNX Runtime too long to prepare)`.
 */
export function count(most: number, reason: string, least = 1): z.ZodInt {
  const error = `expected a whole number from ${least} to ${most.toLocaleString("en-US")} (${reason})`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

/** A number of positions, or of something measured in positions: windows, chunks, distances. */
export function positionCount(least = 1): z.ZodInt {
  return count(1_000_000, "positions are exact up to there", least);
}

/** A number of features of one position. At this limit a matrix of width × 4·width still fits an array of 2³² numbers. */
export function widthCount(): z.ZodInt {
  return count(24_576, "wider matrices do not fit an array");
}

/** A number of rows, or of parts of rows. */
export function rowCount(): z.ZodInt {
  return count(1_000_000, "the rows of a step are made at once");
}

/** A number of steps. */
export function stepCount(least = 1): z.ZodInt {
  return count(2 ** 31 - 1, "steps are counted in 32 bits", least);
}

/** Any other whole number, such as a seed. */
export function exactCount(least = 1): z.ZodInt {
  return count(Number.MAX_SAFE_INTEGER, "larger numbers are not exact", least);
}

/** Tokens of an evaluation, or its rows if each has one answer. */
export function scoredCount(): z.ZodInt {
  return count(100_000_000, "more take hours to evaluate");
}

/** How often something is repeated: each time is a part of the graph. */
export function passCount(): z.ZodInt {
  return count(1000, "each is a part of the graph");
}
