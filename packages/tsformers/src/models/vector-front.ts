import { type Concrete, splitKey } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import type { TokenBody } from "./language-model.ts";
import { projectPart } from "./project-part.ts";
import { requireContent } from "./require-content.ts";
import { trimmedPart } from "./trimmed-part.ts";

/** A body's parameters with those of a front beside them. */
export type WithFront<Params, Front = LinearParams> = Params & { front: Front };

/**
 * A body that reads vectors of any width: what a front makes of each stands in place of a token's vector.
 *
 * @param name what reads the vectors, for errors
 * @param front vectors [B, T, features] → [B, T, E]. Default: a linear map, `v·W + b`
 * @shape vectors [B, T, features] → [B, T, C]
 * @throws TypeError when it is given tokens; RangeError for vectors of another width
 */
export function vectorFront<Params, Front = LinearParams>(
  name: string,
  body: TokenBody<Params>,
  features: number,
  front: Layer<Front> = linear(features, body.embeddingWidth) as unknown as Layer<Front>,
): TokenBody<WithFront<Params, Front>> {
  const { project: _, trimmed: __, ...rest } = body;
  return {
    ...rest,
    embeddingWidth: features,
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return { ...body.init(a!), front: front.init(b!) } as Concrete<WithFront<Params, Front>>;
    },
    apply: (params, { tokens, vectors, ...input }, context) => {
      if (tokens !== undefined) throw new TypeError(`${name}: expected vectors [B, T, ${features}], got tokens`);
      requireContent(name, { vectors }, features);
      return body.apply(params, { ...input, vectors: front.apply(params.front, vectors) }, context);
    },
    ...projectPart<Params, WithFront<Params, Front>>(body),
    ...trimmedPart(body, (trimmed) => vectorFront(name, trimmed, features, front)),
  };
}
