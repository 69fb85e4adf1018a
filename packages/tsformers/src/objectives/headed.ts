import { type Concrete, type RandomKey, splitKey, type Tensor } from "@tsformers/engine";
import type { Context, DepthOutput } from "../kinds/index.ts";
import type { LanguageModel, TokenBody, TokensInput } from "../models/language-model.ts";
import { projectPart } from "../models/project-part.ts";
import { trimmedPart } from "../models/trimmed-part.ts";

/** A body's parameters with those of a head beside them. */
export type Headed<Params, Name extends string> = Params & { [Head in Name]: unknown };

/**
 * A body with another head, whose parameters stand beside the body's under a name of their own.
 *
 * @param head.logits what it makes of the body's output
 * @param options.input changes what the body reads. Default: it reads what it is given
 */
export function headed<Params, Name extends string>(
  body: TokenBody<Params>,
  head: {
    readonly name: Name;
    init(key: RandomKey): Concrete<unknown>;
    logits(params: unknown, out: DepthOutput, input: TokensInput, context: Context): Tensor;
  },
  { input: read = (input) => input }: { readonly input?: (input: TokensInput) => TokensInput } = {},
): LanguageModel<Headed<Params, Name>> {
  type Both = Headed<Params, Name>;
  const { name } = head;
  const { project: _, trimmed: __, ...rest } = body;
  return {
    ...rest,
    body: body as TokenBody<never>,
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return { ...body.init(a!), [name]: head.init(b!) } as Concrete<Both>;
    },
    ...projectPart<Params, Both>(body),
    ...trimmedPart(body, (trimmed) => headed(trimmed, head, { input: read })),
    apply: (params, input, context) => {
      const out = body.apply(params, read(input), context);
      return { ...out, logits: head.logits(params[name], out, input, context) };
    },
  };
}
