import {
  add,
  and,
  concat,
  constant,
  fromNumbers,
  greaterEqual,
  iota,
  less,
  lessEqual,
  maximum,
  mod,
  NDArray,
  reshape,
  sub,
  type Tensor,
} from "@tsformers/engine";
import { causalPart } from "../attention/patterns/causal-part.ts";
import { fullPattern, headsOf, type Pattern } from "../attention/patterns/pattern.ts";
import { type Reach, reachOf } from "../attention/patterns/reach.ts";
import { span } from "../attention/patterns/span.ts";
import type { Slots } from "../kinds/index.ts";

/**
 * What the layers of one pattern keep of earlier positions: pinned ones in permanent slots in front, followed by a ring buffer of the
 * newest ones, in which a position overwrites one that no later query will see.
 */
export type Kept = Omit<Reach, "pinned"> & {
  readonly pattern: Pattern;
  /** The slot of each pinned position, by position. */
  readonly pinned: ReadonlyMap<number, number>;
  /** The most positions that are ever read. */
  readonly maxLength: number;
};

/** What layers with the causal parts of these patterns keep; layers with one pattern share it. */
export function keptOf(given: readonly Pattern[], maxLength: number): Kept[] {
  const patterns = given.map((pattern) => causalPart(pattern, maxLength));
  const known = new Map<Pattern, Kept>();
  for (const pattern of new Set(patterns)) {
    const { pinned, ...reach } = reachOf(pattern, maxLength);
    const slots = new Map(pinned.map((position, slot) => [position, slot]));
    known.set(pattern, { ...reach, pattern, maxLength, pinned: slots });
  }
  return patterns.map((pattern) => known.get(pattern)!);
}

/** Number of slots of the ring when there is room for `capacity` positions. */
export function ringSize({ window }: Kept, capacity: number): number {
  return Math.min(window + 1, capacity);
}

/** Number of slots in all. */
export function slotCount(kept: Kept, capacity: number): number {
  return kept.pinned.size + ringSize(kept, capacity);
}

/** The slot of a position. */
export function slotOf({ pinned }: Kept, ring: number, position: number): number {
  return pinned.get(position) ?? pinned.size + (position % ring);
}

/** Inputs of a pass about the slots of some layers. Absent ones follow from the length. */
export type GivenSlots<Leaf = NDArray> = {
  /** Positions of all keys, int32 [S]; negative for empty slots. */
  readonly positions?: Leaf;
  /** Visibility mask as in a view: bool [H', 1 or T, S]. */
  readonly visible?: Leaf;
  /** The slot in which a single position is written, int32 [1]. */
  readonly rows?: Leaf;
  /** The slots to read, pinned ones first and then by position, int32. */
  readonly order?: Leaf;
  /** For each slot, the index of its new content among the keys that the pass sees, int32 [slots]. */
  readonly next?: Leaf;
};

type Pass = {
  /** Number of positions before the pass. */
  readonly length: number;
  readonly count: number;
  /** `count` rounded up to the compiled width. */
  readonly width: number;
};

/** The part of a ring that a pass of several positions sees: the newest `near` slots. */
type Seen = { readonly ring: number; readonly near: number };

/** Inputs for one position that follows `length` others. It is written into its slot before it attends. */
export function givenStep(kept: Kept, ring: number, length: number): GivenSlots {
  if (kept.isWindow) return {};
  const positions = positionsIn(kept, ring, length + 1);
  return {
    rows: int32([slotOf(kept, ring, length)]),
    positions: int32(positions),
    visible: visibleOf(kept, { length, count: 1, width: 1 }, positions.length, (row, from, to) => {
      for (let key = from; key < to; key++) row[slotOf(kept, ring, key)] = 1;
    }),
  };
}

/** Inputs for several positions: they follow the slots, which are read in the order of positions. */
export function givenChunk(kept: Kept, { ring, near }: Seen, pass: Pass): GivenSlots {
  const { pinned } = kept;
  const { length, width } = pass;
  const first = length - near;
  const newest = Array.from({ length: near }, (_, i) => first + i);
  const positions = [
    ...[...pinned.keys()].map((position) => (position < length ? position : -1)),
    ...newest.map((position) => (pinned.has(position) ? -1 : position)),
    ...Array.from({ length: width }, (_, i) => length + i),
  ];
  const order = [...pinned.values(), ...newest.map((position) => pinned.size + ((position + ring) % ring))];
  const visible = kept.isWindow
    ? fromNumbers(Uint8Array.from(positions, isFilled), [1, 1, positions.length], "bool")
    : visibleOf(kept, pass, positions.length, (row, from, to) => {
        row.fill(1, pinned.size + Math.max(from - first, 0), pinned.size + Math.max(to - first, 0));
        for (const [position, slot] of pinned) {
          if (position < from || position >= Math.min(to, length)) continue;
          row[slot] = 1;
          if (position >= first) row[pinned.size + position - first] = 0;
        }
      });
  return { order: int32(order), positions: int32(positions), visible };
}

/** The slots' contents after a pass of several positions: {@link GivenSlots.next}. */
export function nextSlots(kept: Kept, { ring, near }: Seen, { length, count }: Pass): NDArray {
  const { pinned } = kept;
  // Without earlier positions, a pass sees only its own.
  const front = length === 0 ? 0 : pinned.size + near - length;
  return int32(
    positionsIn(kept, ring, length + count).map((position) => {
      if (position < 0) return 0;
      return (position < length ? pinned.get(position) : undefined) ?? front + position;
    }),
  );
}

/** The position in each slot after `length` were read; −1 for empty slots. */
function positionsIn({ pinned }: Kept, ring: number, length: number): number[] {
  const newest = Array.from({ length: ring }, (_, slot) => {
    const position = length - 1 - ((length - 1 - slot + ring) % ring);
    return pinned.has(position) ? -1 : position;
  });
  return [...[...pinned.keys()].map((position) => (position < length ? position : -1)), ...newest];
}

function isFilled(position: number): number {
  return position < 0 ? 0 : 1;
}

function visibleOf(
  { pattern, maxLength }: Kept,
  { length, count, width }: Pass,
  slots: number,
  mark: (row: Uint8Array, from: number, to: number) => void,
): NDArray {
  const heads = headsOf(pattern);
  const cells = new Uint8Array(heads.length * width * slots);
  heads.forEach((own, head) => {
    for (let t = 0; t < count; t++) {
      const runs = own.keys(length + t, maxLength);
      const at = (head * width + t) * slots;
      const row = cells.subarray(at, at + slots);
      for (let i = 0; i < runs.length; i += 2) mark(row, runs[i]!, runs[i + 1]!);
    }
  });
  return new NDArray([heads.length, width, slots], "bool", cells);
}

function int32(values: readonly number[]): NDArray {
  return fromNumbers(values, [values.length], "int32");
}

/** While tracing: the slots of a step of one position that follows `length` others. */
export function stepSlots(kept: Kept, slots: number, length: Tensor, given: GivenSlots<Tensor>): Slots {
  const query = reshape(length, [1]);
  const { positions, visible, rows } = given;
  if (!kept.isWindow) {
    const shown = { positions: { query, key: positions! }, visible: visible!, rows: rows! };
    return { pattern: fullPattern, reach: kept.maxLength - 1, ...shown };
  }
  const filled = reshape(lessEqual(iota(slots), length), [1, 1, slots]);
  const shown = { pattern: fullPattern, visible: filled, reach: slots - 1, isSighted: true } as const;
  const isRound = slots === kept.window + 1 && slots < kept.maxLength;
  if (!isRound) return { ...shown, positions: { query, key: iota(slots) }, rows: query };
  // Slot r holds the newest position p with p ≡ r.
  const key = sub(length, mod(sub(length, iota(slots)), slots));
  return { ...shown, positions: { query, key }, rows: mod(query, slots) };
}

/** While tracing: the slots of a pass of `width` positions. Without given slots, there are no earlier positions. */
export function chunkSlots(
  kept: Kept,
  width: number,
  length: Tensor,
  { order, positions, visible }: GivenSlots<Tensor>,
): Slots {
  const { pattern, window, pinned, maxLength } = kept;
  const query = add(iota(width), length);
  if (order === undefined) {
    const lines = { query: 0, keys: [{ from: 0, length: width }] };
    return { pattern, positions: { query: iota(width), key: iota(width), lines }, reach: width - 1 };
  }
  const near = order.shape[0]! - pinned.size;
  if (pinned.size > 0) {
    // A pinned position of this pass is also visible from beyond the window.
    const ahead = pinned.size + near + 1;
    const shown: Pattern = { name: "what came before", keys: (t, slots) => span(0, ahead + t, slots) };
    return { pattern: shown, positions: { query, key: positions! }, visible: visible!, reach: maxLength - 1 };
  }
  // The slots in order, then those of the pass: positions are consecutive.
  const lines = { query: 0, keys: [{ from: -near, length: near + width }] };
  const recent: Pattern = {
    name: `window (${window} before)`,
    keys: (t, slots) => span(near + t - window, near + t + 1, slots),
  };
  const reach = Math.min(window, near + width - 1);
  return { pattern: recent, positions: { query, key: positions!, lines }, visible: visible!, reach };
}

/** Inputs of a single position whose own key follows those in the slots. */
export function givenOne(kept: Kept, ring: number, length: number): GivenSlots {
  const positions = positionsIn(kept, ring, length);
  if (kept.isWindow) return { positions: int32(positions) };
  const keys = positions.length + 1;
  return {
    positions: int32(positions),
    visible: visibleOf(kept, { length, count: 1, width: 1 }, keys, (row, from, to) => {
      for (let key = from; key < to; key++) row[key === length ? keys - 1 : slotOf(kept, ring, key)] = 1;
    }),
  };
}

/**
 * While tracing: what a single position sees, whose own key stands last.
 *
 * @param position int32 scalar
 */
export function oneSlots(kept: Kept, position: Tensor, { positions: slots, visible }: GivenSlots<Tensor>): Slots {
  const [query, before] = [reshape(position, [1]), slots!];
  const positions = { query, key: concat([before, query], 0) };
  if (visible !== undefined) return { pattern: fullPattern, reach: kept.maxLength - 1, positions, visible };
  const first = maximum(sub(position, kept.window), 0);
  const near = and(less(before, position), greaterEqual(before, first));
  const keys = positions.key.shape[0]!;
  const shown = concat([near, constant(new NDArray([1], "bool", Uint8Array.of(1)))], 0);
  const reach = Math.min(kept.window, kept.maxLength - 1);
  return { pattern: fullPattern, reach, positions, visible: reshape(shown, [1, 1, keys]), isSighted: true };
}
