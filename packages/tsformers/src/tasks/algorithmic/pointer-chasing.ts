import { integers, permutation, type RandomKey, splitKey } from "@tsformers/engine";
import * as z from "zod";
import { count } from "../../schema/count.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { causalRow, nextForm, pairsForm } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";
import type { SymbolTask } from "./symbol-task.ts";

export type PointerChasingOptions = {
  /** n, number of different symbols. Default: 8. */
  readonly symbols?: number;
  /** Most pointers that a step follows. Default: 3. */
  readonly hops?: number;
  /** T of a row: as rows 2·n at least, as pairs n. Default: 16. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { symbols: 8, hops: 3, length: 16 };

/** Between table and walk, before the first token of the target, and as padding. */
const separator = 0;

/**
 * Follows pointers: a table says to which symbol each symbol points, and a walk goes on from symbol to symbol. A step follows 1 … `hops` pointers,
 * so that positions differ in the depth that they need. How many they are from a symbol is drawn for each row, and told by the table.
 *
 * Pointers form one ring, and the walk ends before it has gone round, so that no step can be copied from an earlier one. Where it begins is
 * drawn, and not scored. Tokens: 0, the n symbols, and for each number of hops the n² pointers from one symbol to another.
 *
 * As rows: `table separator walk`. As pairs: source = table, target = walk. The table has the n pointers, in any order.
 *
 * @throws RangeError when a step can go round the ring
 */
export function pointerChasingTask(options: PointerChasingOptions = {}): SymbolTask {
  const { symbols, hops, length, seed = 0 } = { ...defaults, ...options };
  for (const [name, value] of Object.entries({ symbols, hops }))
    if (!(Number.isInteger(value) && value >= 1))
      throw new RangeError(`pointer-chasing: ${name} must be an integer ≥ 1, got ${value}`);
  if (hops >= symbols)
    throw new RangeError(
      `pointer-chasing: ${hops} hops go round a ring of ${symbols} symbols; give fewer hops or more symbols`,
    );

  const drawn = (key: RandomKey): { readonly table: readonly number[]; readonly walk: readonly number[] } => {
    const [keyOfRing, keyOfOrder, keyOfHops, keyOfStart] = splitKey(key, 4);
    const ring = permutation(keyOfRing!, symbols).toNumbers();
    const hopsFrom = integers(keyOfHops!, [symbols], { low: 1, high: hops + 1 }).toNumbers();
    const order = permutation(keyOfOrder!, symbols).toNumbers();
    const symbolAt = (place: number): number => 1 + ring[place % symbols]!;
    const pointerAt = (place: number): number => {
      const [from, to] = [symbolAt(place) - 1, symbolAt(place + 1) - 1];
      return 1 + symbols + symbols * ((hopsFrom[place]! - 1) * symbols + from) + to;
    };
    const start = integers(keyOfStart!, [], { low: 0, high: symbols }).item();
    const walk = [symbolAt(start)];
    for (let gone = 0; ; ) {
      gone += hopsFrom[(start + gone) % symbols]!;
      if (gone >= symbols) break;
      walk.push(symbolAt(start + gone));
    }
    return { table: order.map(pointerAt), walk };
  };
  const requireRoom = (most: number, rowLength: number): void => {
    if (rowLength < most)
      throw new RangeError(`pointer-chasing: ${symbols} symbols need a length of at least ${most}, got ${rowLength}`);
  };
  const common = { name: "pointer-chasing", limit: usualLimit };
  return {
    name: "pointer-chasing",
    vocabularySize: 1 + symbols + hops * symbols * symbols,
    length,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: (token) => {
      if (token <= symbols) return token === separator ? "|" : String(token);
      const pointer = token - 1 - symbols;
      const [from, to] = [Math.floor(pointer / symbols), pointer % symbols];
      return `${1 + (from % symbols)}${"→".repeat(1 + Math.floor(from / symbols))}${1 + to}`;
    },
    fingerprint: `pointer-chasing symbols=${symbols} hops=${hops} seed=${seed}`,
    views: {
      next: rowsView({
        ...common,
        length,
        form: nextForm,
        source: generatedRows(
          (key, rowLength) => {
            requireRoom(2 * symbols, rowLength);
            const { table, walk } = drawn(key);
            return causalRow([...table, separator, ...walk], (index) => index > table.length + 1);
          },
          { seed },
        ),
      }),
      pairs: rowsView({
        ...common,
        length,
        form: pairsForm,
        source: generatedRows(
          (key, rowLength) => {
            requireRoom(symbols, rowLength);
            const { table, walk } = drawn(key);
            return { source: table, ...causalRow([separator, ...walk], (index) => index > 1) };
          },
          { seed },
        ),
      }),
    },
  };
}

export const pointerChasingEntry: TaskEntry<"pointer-chasing", PointerChasingOptions> = /* @__PURE__ */ taskEntry({
  name: "pointer-chasing",
  title: "Pointer chasing",
  category: "generated",
  summary: "follow the pointers of a table, one or several in a step",
  options: () =>
    z.strictObject({
      symbols: symbolCount().default(defaults.symbols).describe("how many different symbols there are"),
      hops: count(1000, "a walk ends before it has gone round")
        .default(defaults.hops)
        .describe("most pointers that a step follows"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => pointerChasingTask(settings),
});
