import type * as z from "zod";
import { explain } from "./explain.ts";

/**
 * Parses options by their schema and fills in defaults.
 *
 * @param raw the options as given; undefined counts as no options
 * @param name the name that errors begin with
 * @throws RangeError `lsh: "chunk": expected a whole number, got 1.5`, with a line for each wrong option
 */
export function parseOptions<O extends z.ZodType>(schema: O, raw: unknown, name: string): z.output<O> {
  const result = schema.safeParse(raw ?? {}, { reportInput: true });
  if (result.success) return result.data;
  throw new RangeError(`${name}: ${explain(result.error, schema).join("\n  ")}`);
}
