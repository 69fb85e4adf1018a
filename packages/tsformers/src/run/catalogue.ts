import * as z from "zod";

/** An entry of a catalogue, chosen by name before its code is loaded. */
export type Entry = {
  readonly summary: string;
  /** Schema of its options; every option has a description, and unknown ones are errors. */
  options(): z.ZodObject;
};

export type Catalogue = Readonly<Record<string, Entry>>;

/** A choice from a catalogue as plain data: `{ kind: "alibi" }`, with the options of that kind beside it. */
export type Choice = { readonly kind: string; readonly [option: string]: unknown };

/**
 * The schema of a choice: `kind` is a name in the catalogue, the other settings are that entry's options.
 *
 * @param options.elsewhere options that are set elsewhere in the configuration
 * @param options.further schemas of choices outside the catalogue
 */
export function choiceSchema(
  catalogue: Catalogue,
  options: { readonly elsewhere?: readonly string[]; readonly further?: readonly z.ZodObject[] } = {},
): z.ZodType<Choice, Choice> {
  const { elsewhere = [], further = [] } = options;
  const members = Object.entries(catalogue).map(([kind, entry]) => {
    const own = Object.entries(entry.options().shape).filter(([name]) => !elsewhere.includes(name));
    return z.strictObject({ kind: z.literal(kind), ...Object.fromEntries(own) });
  });
  return z.discriminatedUnion("kind", [...members, ...further] as never) as unknown as z.ZodType<Choice, Choice>;
}
