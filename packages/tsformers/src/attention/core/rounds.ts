import {
  add,
  after,
  constant,
  fill,
  fromNumbers,
  gather,
  reshape,
  type Shape,
  scan,
  slice,
  type Tensor,
} from "@tsformers/engine";
import { joinParts } from "./join-parts.ts";
import type { Round } from "./patches.ts";
import { hidden, type Mixed } from "./query-block.ts";
import { concatenated, inStretches, unstacked } from "./segments.ts";
import { type Cotangents, gradientsOfTiles, mixTiles, type QueriesAndKeys, type TilesOptions } from "./tile-by-tile.ts";

type PatchesOptions = TilesOptions & {
  /** Queries, and keys, of a patch. */
  readonly patch: number;
};

/**
 * `mixTiles` of all patches. Each round is one loop, so that there are about as many loops as diagonals of patches. A turn reads its queries and keys by
 * their places; results go from round to round. Queries without a patch see nothing.
 *
 * @shape mixed [B, H, T, ·], sums [B, H, T, 1]
 */
export function mixPatches(
  rounds: readonly Round[],
  { q, key, value }: QueriesAndKeys,
  { patch, ...options }: PatchesOptions,
): Required<Mixed> {
  const [queriesIn, keysIn, valuesIn] = [q, key, value].map((x) => patchesIn(x, patch));
  const optionsIn = maskedIn(options, patch);
  // ONNX Runtime keeps memory for the next tensor of the same shape: a round of the gradient must have others.
  const stack = (width: number, nothing: number) => new Stack(q, { patch, width, nothing, flat: true });
  const [allMixed, allSums] = [stack(value.shape[3]!, 0), stack(1, hidden)];
  for (const round of rounds) {
    const results = [allMixed, allSums].map((stack) => ({ stack, places: round.rows }));
    overPatches(round, results, ({ row, column }, [mixed, sums]) => {
      const entries = { q: queriesIn!(row), key: keysIn!(column), value: valuesIn!(column) };
      const own = mixTiles(round.plan, entries, optionsIn(column));
      const all = mixed === undefined ? own : (joinParts([{ mixed, sums: sums! }, own]) as Required<Mixed>);
      return [all.mixed, all.sums];
    });
  }
  return { mixed: allMixed.inSequence(), sums: allSums.inSequence() };
}

/** `gradientsOfTiles` of all patches. */
export function gradientsOfPatches(
  rounds: readonly Round[],
  { q, key, value, dMixed, lowering, offset }: QueriesAndKeys & Cotangents,
  { patch, ...options }: PatchesOptions,
): readonly Tensor[] {
  const [queriesIn, keysIn, valuesIn, dMixedIn, loweringIn, offsetIn] = [q, key, value, dMixed, lowering, offset].map(
    (x) => patchesIn(x, patch),
  );
  const optionsIn = maskedIn(options, patch);
  const [dQuery, dKey, dValue] = [q, key, value].map((x) => new Stack(x, { patch, width: x.shape[3]! }));
  for (const round of rounds) {
    const results = [
      { stack: dQuery!, places: round.rows },
      { stack: dKey!, places: round.columns },
      { stack: dValue!, places: round.columns },
    ];
    overPatches(round, results, ({ row, column }, before) => {
      const entries = { q: queriesIn!(row), key: keysIn!(column), value: valuesIn!(column) };
      const cotangents = { dMixed: dMixedIn!(row), lowering: loweringIn!(row), offset: offsetIn!(row) };
      const own = gradientsOfTiles(round.plan, { ...entries, ...cotangents }, optionsIn(column));
      return own.map((x, i) => (before[i] === undefined ? x : add(before[i], x)));
    });
  }
  return [dQuery!, dKey!, dValue!].map((stack) => stack.inSequence());
}

/** Places of a patch's queries and of its keys. */
type At = { readonly row: Tensor; readonly column: Tensor };

/** Results of all places, and the places of a round among them. */
type Renewed = { readonly stack: Stack; readonly places: readonly number[] };

/**
 * Renews results patch by patch.
 *
 * @param turn is given what the places of a patch have so far, which is nothing before the first round, and returns what they have then
 */
function overPatches(
  { rows, columns }: Round,
  results: readonly Renewed[],
  turn: (at: At, before: readonly (Tensor | undefined)[]) => readonly Tensor[],
): void {
  const taken = results.map(({ stack, places }) => stack.take(places));
  // What is left is cut off before the loop: as long as it is not, the whole stack is kept.
  const left = taken.flatMap(({ left }) => left);
  const xs = {
    ...{ row: after(indices(rows), ...left), column: indices(columns) },
    before: taken.map(({ stacked }) => stacked),
  };
  const [, renewed] = scan(
    (carry: null, { before, ...at }: typeof xs): [null, readonly Tensor[]] => {
      const now = turn(
        at,
        before.map((x, i) => x && results[i]!.stack.patchOf(x)),
      );
      return [carry, now.map((x, i) => results[i]!.stack.stored(x))];
    },
    null,
    xs,
    { unroll: false },
  );
  for (const [i, { stack, places }] of results.entries()) stack.put(places, renewed[i]!);
}

function indices(places: readonly number[]): Tensor {
  return constant(fromNumbers(places, [places.length], "int32"));
}

/** x [B, H, T, D] → what a place has of it, [B, H, patch, D]; or along another axis. */
function patchesIn(x: Tensor, patch: number, axis = 2): (place: Tensor) => Tensor {
  const whole = slice(x, axis, 0, Math.floor(x.shape[axis]! / patch) * patch);
  // Reshaped inside the loop: outside, ONNX Runtime moves a transpose before it behind it, once for each loop.
  return (place) => gather(inStretches(whole, patch, axis), place, axis);
}

/** Options of the patches whose keys are at a place: what is padding among these. */
function maskedIn({ view, scale }: TilesOptions, patch: number): (place: Tensor) => TilesOptions {
  const { keyMask } = view;
  if (keyMask === undefined) return () => ({ view, scale });
  const maskIn = patchesIn(keyMask, patch, 1);
  return (place) => ({ scale, view: { ...view, keyMask: maskIn(place) } });
}

/** A result by place: that of several places is taken together, as [places, …], and put back renewed. */
class Stack {
  readonly #options: StackOptions;
  readonly #length: number;
  /** Of a patch: [B, H, patch, width]. */
  readonly #shape: Shape;
  readonly #at = new Map<number, { readonly stacked: Tensor; readonly index: number }>();

  /** @param like [B, H, T, ·], of which a place has `patch` positions */
  constructor(like: Tensor, options: StackOptions) {
    const [batch, heads, length] = like.shape as [number, number, number];
    this.#options = options;
    this.#length = length;
    this.#shape = [batch, heads, options.patch, options.width];
  }

  /**
   * What places have, [places, …], and what other places have left of the stacks that it is cut from.
   *
   * @returns nothing `stacked` where nothing has been put into any of the places
   */
  take(places: readonly number[]): { readonly stacked?: Tensor; readonly left: readonly Tensor[] } {
    const cut = new Set(places.map((place) => this.#at.get(place)?.stacked));
    cut.delete(undefined);
    if (cut.size === 0) return { left: [] };
    const others = [...this.#at].filter(([place, { stacked }]) => cut.has(stacked) && !places.includes(place));
    const stacked = concatenated(
      this.#runs(places).map(({ stacked }) => stacked),
      0,
    );
    const left = this.#runs(others.map(([place]) => place));
    for (const { places, stacked } of left) this.put(places, stacked);
    return { stacked, left: left.map(({ stacked }) => stacked) };
  }

  put(places: readonly number[], stacked: Tensor): void {
    for (const [index, place] of places.entries()) this.#at.set(place, { stacked, index });
  }

  /** Places that follow each other in a stack, cut out of it. */
  #runs(places: readonly number[]): { readonly places: readonly number[]; readonly stacked: Tensor }[] {
    const runs: { places: number[]; stacked: Tensor | undefined; from: number }[] = [];
    for (const place of places) {
      const { stacked, index = 0 } = this.#at.get(place) ?? {};
      const last = runs.at(-1);
      const isNext = stacked === undefined || index === (last?.from ?? 0) + (last?.places.length ?? 0);
      if (last !== undefined && last.stacked === stacked && isNext) last.places.push(place);
      else runs.push({ places: [place], stacked, from: index });
    }
    return runs.map(({ places, stacked, from }) => ({ places, stacked: this.#cut(stacked, from, places.length) }));
  }

  #cut(stacked: Tensor | undefined, from: number, count: number): Tensor {
    if (stacked === undefined) return fill([count, ...this.#stored], this.#options.nothing ?? 0);
    return count === stacked.shape[0] ? stacked : slice(stacked, 0, from, from + count);
  }

  get #stored(): Shape {
    const [batch, heads, ...rest] = this.#shape as [number, number, number, number];
    return this.#options.flat ? [batch * heads, ...rest] : this.#shape;
  }

  /** What a place has, [B, H, patch, width], in the shape in which it is stacked; and back. */
  stored(x: Tensor): Tensor {
    return reshape(x, this.#stored);
  }

  patchOf(x: Tensor): Tensor {
    return reshape(x, this.#shape);
  }

  /** [B, H, T, width]; positions of which nothing has been put in have nothing. */
  inSequence(): Tensor {
    const { patch, width, nothing = 0 } = this.#options;
    const [batch, heads] = this.#shape as [number, number];
    const count = Math.floor(this.#length / patch);
    const runs = this.#runs(Array.from({ length: count }, (_, place) => place));
    const parts = runs.map(({ places, stacked }) => unstacked(reshape(stacked, [places.length, ...this.#shape])));
    const rest = this.#length - count * patch;
    return concatenated(rest === 0 ? parts : [...parts, fill([batch, heads, rest, width], nothing)]);
  }
}

type StackOptions = {
  readonly patch: number;
  readonly width: number;
  /** What positions have that no patch has. Default: 0. */
  readonly nothing?: number;
  /** Whether heads are stacked without an axis of their own. */
  readonly flat?: boolean;
};
