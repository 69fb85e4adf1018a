import type * as z from "zod";
import { parseOptions } from "./parse-options.ts";

/**
 * A member of a catalogue: its name, what it is, and how it is made from settings. It is at the bottom of the member's own file;
 * `catalogue/` finds it by its name.
 *
 * @typeParam Settings what may be set, as the schema of {@link Entry.options} accepts it
 * @typeParam Context what {@link Entry.make} is told besides the settings
 */
export type Entry<
  Name extends string = string,
  Settings = unknown,
  Context extends readonly unknown[] = readonly never[],
  Made = unknown,
> = {
  readonly name: Name;
  readonly title: string;
  readonly summary: string;
  /** The schema of the settings. Every option has a description, and unknown ones are errors. */
  options(): z.ZodObject;
  /**
   * Checks the settings, fills in the defaults, and makes the member.
   *
   * @throws RangeError naming the settings that do not fit
   */
  make(settings: Settings, ...context: Context): Made;
};

/** Where a member comes from. */
export type Published = {
  /** Of the paper. */
  readonly year: number;
  /** Authors, year, title, where. */
  readonly paper: string;
  readonly formula: string;
};

/** The two functions of an entry as a member's file writes them: its `make` gets settings that are checked and complete. */
export type EntryFunctions<Schema extends z.ZodObject, Context extends readonly unknown[], Made> = {
  options(): Schema;
  make(settings: z.output<Schema>, ...context: Context): Made;
};

/** An entry as a member's file writes it. */
export type EntryParts<
  Name extends string,
  Schema extends z.ZodObject,
  Context extends readonly unknown[],
  Made,
> = EntryFunctions<Schema, Context, Made> & Pick<Entry<Name>, "name" | "title" | "summary">;

/**
 * The functions of an entry: `options` makes its schema once, when it is first needed, and `make` checks settings against it.
 *
 * @param check refuses a context. Default: any will do
 */
export function checkedFunctions<Schema extends z.ZodObject, Context extends readonly unknown[], Made>(
  { name, options, make }: { readonly name: string } & EntryFunctions<Schema, Context, Made>,
  check: (...context: Context) => void = () => {},
): { options(): Schema; make(settings: unknown, ...context: Context): Made } {
  let schema: Schema | undefined;
  const schemaOnce = (): Schema => {
    schema ??= options();
    return schema;
  };
  return {
    options: schemaOnce,
    make: (settings, ...context) => {
      check(...context);
      return make(parseOptions(schemaOnce(), settings, name), ...context);
    },
  };
}

/** The settings of a member that has none. */
export type NoSettings = Readonly<Record<string, never>>;

/** The settings that an entry's `make` takes. */
export type SettingsOf<Member> = Member extends Entry<string, infer Settings, never> ? Settings : never;

/**
 * Nothing where a type of settings says what its schema accepts, option by option; otherwise a property that no entry has, whose type
 * names the options in which the two differ. Declarations must write the type out, and so the compiler compares it.
 */
export type Agreement<Settings, Schema extends z.ZodObject> = [Difference<Settings, z.input<Schema>>] extends [never]
  ? unknown
  : { readonly "settings and schema differ in": Difference<Settings, z.input<Schema>> };

type Difference<A, B> = {
  [Option in keyof A | keyof B]: Option extends keyof A & keyof B
    ? Same<[Value<A[Option]>, IsOptional<A, Option>], [Value<B[Option]>, IsOptional<B, Option>]> extends true
      ? never
      : Option
    : Option;
}[keyof A | keyof B];

type Same<A, B> = [A, B] extends [B, A] ? true : false;

type IsOptional<T, Option extends keyof T> = Record<never, never> extends Pick<T, Option> ? true : false;

/** Without `undefined`; lists are compared whether or not they may be changed. */
type Value<T> = T extends readonly (infer Item)[] ? readonly Value<Item>[] : Exclude<T, undefined>;
