import * as z from "zod";
import { entryOf } from "../catalogue/catalogue-of.ts";

/** What a choice must know of an entry of a catalogue. */
export type Entry = {
  readonly summary: string;
  /** Schema of its options; every option has a description, and unknown ones are errors. */
  options(): z.ZodObject;
};

export type Catalogue<E = Entry> = Readonly<Record<string, E>>;

/** A choice from a catalogue as plain data: `{ kind: "alibi" }`, with the options of that kind beside it. */
export type Choice = { readonly kind: string; readonly [option: string]: unknown };

/** One choice for all layers, or one for each. */
export type Choices = Choice | readonly Choice[];

/**
 * The schema of a choice: `kind` is a name in the catalogue, the other settings are that entry's options.
 *
 * @param options.elsewhere options that are set in another place of the configuration
 * @param options.nested choices that a kind takes beside its options
 * @param options.further schemas of choices that are in no catalogue
 */
export function choiceSchema(
  catalogue: Catalogue,
  options: {
    readonly elsewhere?: readonly string[];
    readonly nested?: (kind: string) => Readonly<Record<string, z.ZodType>>;
    readonly further?: readonly z.ZodObject[];
  } = {},
): z.ZodType<Choice, Choice> {
  const { elsewhere = [], nested = () => ({}), further = [] } = options;
  const members = Object.entries(catalogue).map(([kind, entry]) => {
    const own = Object.entries(entry.options().shape).filter(([name]) => !elsewhere.includes(name));
    return z.strictObject({ kind: z.literal(kind), ...Object.fromEntries(own), ...nested(kind) });
  });
  return z.discriminatedUnion("kind", [...members, ...further] as never) as unknown as z.ZodType<Choice, Choice>;
}

/** Makes what is chosen. @throws RangeError for a kind that the catalogue does not have, and from the entry's `make` */
export function makeChoice<Context extends readonly unknown[], Made>(
  catalogue: Catalogue<{ make(settings: unknown, ...context: Context): Made }>,
  { kind, ...settings }: Choice,
  ...context: Context
): Made {
  return entryOf(catalogue, kind).make(settings, ...context);
}

/** The kinds of a choice, those of neighbouring layers that are alike together. */
export function kindsOf(chosen: Choices): { readonly kind: string; readonly times: number }[] {
  const runs: { kind: string; times: number }[] = [];
  for (const { kind } of [chosen].flat()) {
    const before = runs.at(-1);
    if (before?.kind === kind) before.times++;
    else runs.push({ kind, times: 1 });
  }
  return runs;
}
