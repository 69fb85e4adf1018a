import { type Concrete, splitKey } from "@tsformers/engine";
import type { Initial } from "../nn/initial.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { present } from "../schema/present.ts";
import type { TokenBody } from "./language-model.ts";
import { projectPart } from "./project-part.ts";
import { requireContent } from "./require-content.ts";
import { trimmedPart } from "./trimmed-part.ts";

/** A body's parameters with those of a front beside them. */
export type WithFront<Params> = Params & { front: LinearParams };

/**
 * A body that reads vectors of any width: `v·W + b` stands in place of a token's vector.
 *
 * @param name what reads the vectors, for errors
 * @param initial draws W. Default: normal with a deviation of 0.02
 * @shape vectors [B, T, features] → [B, T, C]
 * @throws TypeError when it is given tokens; RangeError for vectors of another width
 */
export function vectorFront<Params>(
  name: string,
  body: TokenBody<Params>,
  features: number,
  initial?: Initial,
): TokenBody<WithFront<Params>> {
  const front = linear(features, body.embeddingWidth, present({ initial }));
  const { project: _, trimmed: __, ...rest } = body;
  return {
    ...rest,
    embeddingWidth: features,
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return { ...body.init(a!), front: front.init(b!) } as Concrete<WithFront<Params>>;
    },
    apply: (params, { tokens, vectors, ...input }, context) => {
      if (tokens !== undefined) throw new TypeError(`${name}: expected vectors [B, T, ${features}], got tokens`);
      requireContent(name, { vectors }, features);
      return body.apply(params, { ...input, vectors: front.apply(params.front, vectors) }, context);
    },
    ...projectPart<Params, WithFront<Params>>(body),
    ...trimmedPart(body, (trimmed) => vectorFront(name, trimmed, features, initial)),
  };
}
