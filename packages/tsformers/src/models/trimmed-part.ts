import type { TokenBody } from "./language-model.ts";

type Spans = readonly (readonly number[])[];

/** The trimming of a model around a body; nothing where the body has none. */
export function trimmedPart<Params, Model>(
  body: TokenBody<Params>,
  around: (body: TokenBody<Params>) => Model,
): { trimmed?(spans: Spans): Model } {
  const { trimmed } = body;
  return trimmed === undefined ? {} : { trimmed: (spans) => around(trimmed(spans)) };
}
