import type * as z from "zod";
import { explain } from "./explain.ts";

/**
 * Options checked by their schema, defaults filled in.
 *
 * @param raw what was given; nothing counts as no options
 * @param name whose options they are
 * @throws RangeError `lsh: "chunk": expected a whole number, got 1.5`, with a line for each option that is wrong
 */
export function parseOptions<O extends z.ZodType>(schema: O, raw: unknown, name: string): z.output<O> {
  const result = schema.safeParse(raw ?? {}, { reportInput: true });
  if (result.success) return result.data;
  throw new RangeError(`${name}: ${explain(result.error, schema).join("\n  ")}`);
}
