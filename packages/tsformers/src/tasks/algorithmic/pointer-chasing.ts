import { integers, permutation, type RandomKey, splitKey } from "@tsformers/engine";
import * as z from "zod";
import { count } from "../../schema/count.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { causalRow, nextForm, pairsForm } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";
import type { SymbolTask } from "./symbol-task.ts";

export type PointerChasingOptions = {
  /** n, number of different symbols. Default: 6. */
  readonly symbols?: number;
  /** Most pointers that a step follows. Default: 2. */
  readonly hops?: number;
  /** T of a row: as rows 3·n at least, as pairs 2·n. Default: 18. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { symbols: 6, hops: 2, length: 18 };

/** Between table and walk, before the first token of the target, and as padding. */
const separator = 0;

/**
 * Follows pointers: a list says to which symbol each symbol points, and a walk goes on from symbol to symbol. A step follows 1 … `hops` pointers,
 * so that positions differ in the depth that they need. How many they are from a symbol is drawn for each row.
 *
 * Pointers form one ring, and the walk ends before it has gone round, so that no step can be copied from an earlier one. The list is in any
 * order; it and the beginning of the walk are drawn, and not scored. Tokens: 0, the n symbols, the n² pointers from one symbol to another, and
 * for each symbol the numbers of hops that it may have.
 *
 * As rows: `hops separator pointers walk`. As pairs: source = hops, target = pointers and walk: an encoder alone cannot follow them.
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

  const drawn = (key: RandomKey): { readonly counts: readonly number[]; readonly target: readonly number[] } => {
    const [keyOfRing, keyOfOrder, keyOfHops, keyOfStart] = splitKey(key, 4);
    const ring = permutation(keyOfRing!, symbols).toNumbers();
    const hopsFrom = integers(keyOfHops!, [symbols], { low: 1, high: hops + 1 }).toNumbers();
    const order = permutation(keyOfOrder!, symbols).toNumbers();
    const symbolAt = (place: number): number => 1 + ring[place % symbols]!;
    const firstPointer = 1 + symbols;
    const firstCount = firstPointer + symbols * symbols;
    const pointers = order.map((place) => firstPointer + symbols * (symbolAt(place) - 1) + symbolAt(place + 1) - 1);
    const counts = order.map((place) => firstCount + hops * (symbolAt(place) - 1) + hopsFrom[place]! - 1);
    const start = integers(keyOfStart!, [], { low: 0, high: symbols }).item();
    const walk = [symbolAt(start)];
    for (let gone = 0; ; ) {
      gone += hopsFrom[(start + gone) % symbols]!;
      if (gone >= symbols) break;
      walk.push(symbolAt(start + gone));
    }
    return { counts, target: [...pointers, ...walk] };
  };
  const requireRoom = (most: number, rowLength: number): void => {
    if (rowLength < most)
      throw new RangeError(`pointer-chasing: ${symbols} symbols need a length of at least ${most}, got ${rowLength}`);
  };
  const common = { name: "pointer-chasing", limit: usualLimit };
  return {
    name: "pointer-chasing",
    vocabularySize: 1 + symbols + symbols * (symbols + hops),
    length,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: (token) => {
      if (token <= symbols) return token === separator ? "|" : String(token);
      const pointer = token - 1 - symbols;
      const count = pointer - symbols * symbols;
      const [from, to] = [Math.floor(pointer / symbols), pointer % symbols];
      return count < 0 ? `${1 + from}→${1 + to}` : `${1 + Math.floor(count / hops)}:${1 + (count % hops)}`;
    },
    fingerprint: `pointer-chasing symbols=${symbols} hops=${hops} seed=${seed}`,
    views: {
      next: rowsView({
        ...common,
        length,
        form: nextForm,
        source: generatedRows(
          (key, rowLength) => {
            requireRoom(3 * symbols, rowLength);
            const { counts, target } = drawn(key);
            return causalRow([...counts, separator, ...target], (index) => index > 2 * symbols + 1);
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
            requireRoom(2 * symbols, rowLength);
            const { counts, target } = drawn(key);
            return { source: counts, ...causalRow([separator, ...target], (index) => index > symbols + 1) };
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
  summary: "follow pointers from symbol to symbol, one or several in a step",
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
