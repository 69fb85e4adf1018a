import type { Entry } from "../schema/entry.ts";
import { expectation } from "../schema/nearest.ts";

/** The entries among the exports of a room, by the names that configurations call them. */
export type Entries<Room> = {
  readonly [Export in keyof Room as Room[Export] extends AnyEntry<infer Name> ? Name : never]: Room[Export];
};

type AnyEntry<Name extends string> = Pick<Entry<Name>, "name" | "options">;

/**
 * The catalogue of a room, such as the exports of `attention/index.ts`, in an order to read: by category, then by year, then by name.
 *
 * @param categories the categories in their order; those that are not named come last. Default: categories do not matter
 */
export function catalogueOf<Room extends object>(room: Room, categories: readonly string[] = []): Entries<Room> {
  const rank = ({ category }: Ranked): number => {
    const place = category === undefined ? -1 : categories.indexOf(category);
    return place === -1 ? categories.length : place;
  };
  const entries = Object.values(room)
    .filter(isEntry)
    .sort((a, b) => rank(a) - rank(b) || (a.year ?? 0) - (b.year ?? 0) || a.name.localeCompare(b.name));
  return Object.fromEntries(entries.map((entry) => [entry.name, entry])) as Entries<Room>;
}

/**
 * The entry of a name that comes from outside.
 *
 * @throws RangeError `unknown "alibbi"; did you mean "alibi"? Expected one of …`
 */
export function entryOf<E>(catalogue: Readonly<Record<string, E>>, name: string): E {
  const entry = Object.hasOwn(catalogue, name) ? catalogue[name] : undefined;
  if (entry !== undefined) return entry;
  throw new RangeError(`unknown ${JSON.stringify(name)}${expectation(name, Object.keys(catalogue))}`);
}

type Ranked = AnyEntry<string> & { readonly category?: string; readonly year?: number };

function isEntry(value: unknown): value is Ranked {
  return typeof value === "object" && value !== null && "options" in value && "name" in value;
}
