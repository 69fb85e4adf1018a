import { integers, permutation, type RandomKey, splitKey } from "@tsformers/engine";
import * as z from "zod";
import { count } from "../../schema/count.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { causalRow, nextForm, pairsForm } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";
import type { SymbolTask } from "./symbol-task.ts";

export type PointerChasingOptions = {
  /** Number of different symbols. Default: 12. */
  readonly symbols?: number;
  /** Pointers that a hard step follows. Default: 2. */
  readonly hops?: number;
  /** Every so many steps one is hard; the others follow one pointer. Default: 3. */
  readonly every?: number;
  /** T of a row; as pairs, half of it. Default: 24. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { symbols: 12, hops: 2, every: 3, length: 24 };

/** Between table and walk, before the first token of the target, and as padding. Symbols are 1 … `symbols`. */
const separator = 0;

/**
 * Follows pointers: a table says to which symbol each symbol points, and a walk goes from symbol to symbol. Most steps follow one pointer,
 * every third follows two: its difficulty, and so the depth that it needs, is another. Pointers form one ring, and the walk ends before it has
 * gone round, so that no step can be copied from an earlier one. Where the walk begins is drawn, and not scored.
 *
 * As rows: `table separator walk`. As pairs: source = table, target = walk.
 *
 * @throws RangeError when the walk of these options has no hard step
 */
export function pointerChasingTask(options: PointerChasingOptions = {}): SymbolTask {
  const { symbols, hops, every, length, seed = 0 } = { ...defaults, ...options };
  for (const [name, value] of Object.entries({ symbols, hops, every }))
    if (!(Number.isInteger(value) && value >= 1))
      throw new RangeError(`pointer-chasing: ${name} must be an integer ≥ 1, got ${value}`);
  const steps = stepsOf(symbols, hops, every);
  if (steps.length < every)
    throw new RangeError(
      `pointer-chasing: a walk over ${symbols} symbols ends before its first step of ${hops} pointers; give more symbols`,
    );
  const needs = (rowLength: number, least: number): void => {
    if (rowLength < least)
      throw new RangeError(`pointer-chasing: ${symbols} symbols need a length of at least ${least}, got ${rowLength}`);
  };
  const drawn = (key: RandomKey): { readonly table: readonly number[]; readonly walk: readonly number[] } => {
    const [keyOfRing, keyOfStart] = splitKey(key, 2);
    const ring = permutation(keyOfRing!, symbols).toNumbers();
    const table = new Array<number>(symbols);
    ring.forEach((symbol, place) => {
      table[symbol] = 1 + ring[(place + 1) % symbols]!;
    });
    let place = integers(keyOfStart!, [], { low: 0, high: symbols }).item();
    const walk = [0, ...steps].map((hop) => {
      place += hop;
      return 1 + ring[place % symbols]!;
    });
    return { table, walk };
  };
  return {
    name: "pointer-chasing",
    vocabularySize: symbols + 1,
    length,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: (token) => (token === separator ? "|" : String(token)),
    fingerprint: `pointer-chasing symbols=${symbols} hops=${hops} every=${every} seed=${seed}`,
    views: {
      next: rowsView({
        name: "pointer-chasing",
        length,
        limit: usualLimit,
        form: nextForm,
        source: generatedRows(
          (key, rowLength) => {
            needs(rowLength, symbols + 1 + steps.length);
            const { table, walk } = drawn(key);
            return causalRow([...table, separator, ...walk], (index) => index > symbols + 1);
          },
          { seed },
        ),
      }),
      pairs: rowsView({
        name: "pointer-chasing",
        length: Math.max(Math.floor(length / 2), 1),
        limit: usualLimit,
        form: pairsForm,
        source: generatedRows(
          (key, rowLength) => {
            needs(rowLength, Math.max(symbols, steps.length + 1));
            const { table, walk } = drawn(key);
            return { source: table, ...causalRow([separator, ...walk], (index) => index > 1) };
          },
          { seed },
        ),
      }),
    },
  };
}

/** How many pointers each step of a walk follows, as long as the ring is not gone round. */
function stepsOf(symbols: number, hops: number, every: number): number[] {
  const steps: number[] = [];
  let place = 0;
  while (true) {
    const hop = (steps.length + 1) % every === 0 ? hops : 1;
    place += hop;
    if (place >= symbols) return steps;
    steps.push(hop);
  }
}

const small = () => count(1000, "a walk visits each symbol once at most");

export const pointerChasingEntry: TaskEntry<"pointer-chasing", PointerChasingOptions> = /* @__PURE__ */ taskEntry({
  name: "pointer-chasing",
  title: "Pointer chasing",
  category: "generated",
  summary: "follow the pointers of a table, one at most steps, several at some",
  options: () =>
    z.strictObject({
      symbols: symbolCount().default(defaults.symbols).describe("how many different symbols there are"),
      hops: small().default(defaults.hops).describe("pointers that a hard step follows"),
      every: small().default(defaults.every).describe("of how many steps one is hard"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => pointerChasingTask(settings),
});
