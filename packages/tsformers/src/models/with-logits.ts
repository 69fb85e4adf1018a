import { type Concrete, splitKey, type Tensor } from "@tsformers/engine";
import type { Head } from "../nn/head.ts";
import type { LanguageModel, TokenBody } from "./language-model.ts";
import { projectPart } from "./project-part.ts";
import { trimmedPart } from "./trimmed-part.ts";

/** A body's parameters and those of its head. */
export type WithHead<Params, HeadParams = unknown> = Params & { head: HeadParams };

/** A body with logits over its vocabulary at every position: next tokens of a causal one, masked tokens of one that sees both sides. */
export function withLogits<Params, HeadParams>(
  body: TokenBody<Params>,
  head: Head<HeadParams>,
): LanguageModel<WithHead<Params, HeadParams>> {
  const { width: _, embeddingWidth: __, project: ___, trimmed: ____, pool: _____, embeddingOf, ...model } = body;
  return {
    ...model,
    body: body as TokenBody<unknown>,
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return { ...body.init(a!), head: head.init(b!) } as Concrete<WithHead<Params, HeadParams>>;
    },
    apply: (params, input, context) => {
      const out = body.apply(params, input, context);
      const toLogits = (x: Tensor): Tensor => head.apply(params.head, x, embeddingOf(params));
      return { ...out, logits: toLogits(out.x), toLogits };
    },
    ...projectPart<Params, WithHead<Params, HeadParams>>(body),
    ...trimmedPart(body, (trimmed) => withLogits(trimmed, head)),
  };
}
