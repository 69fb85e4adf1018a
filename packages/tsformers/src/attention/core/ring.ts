import {
  and,
  cast,
  concat,
  constant,
  equal,
  expandDims,
  full as filled,
  fromNumbers,
  gather,
  greaterEqual,
  iota,
  lessEqual,
  max,
  maximum,
  mod,
  not,
  or,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { KeyValueCache, Recurrent, SoftmaxMixer, View } from "../../kinds/index.ts";
import { present } from "../../schema/present.ts";
import { fullPattern } from "../patterns/pattern.ts";
import { makeView } from "./view.ts";

export type RingOptions = {
  /** W: how many positions back a query sees, besides itself. */
  readonly window: number;
  /** Distance from one visible position to the next. Default: 1. */
  readonly dilation?: number;
  /** Positions that all later queries see, at any distance. */
  readonly pinned?: readonly number[];
};

/**
 * Decodes attention over a sliding window with a ring buffer: each new position overwrites the one that no later query will see.
 * Memory and time per position stay constant, however long the sequence.
 *
 * @shape state: keys and values [B, K, P + W·dilation + 1, D], the P pinned positions in front
 * @cost  O(B·H·(P + W)·D) for each position
 */
export function ringDecoding<Params>(
  mixer: SoftmaxMixer<Params>,
  options: RingOptions,
): Recurrent<Params, KeyValueCache> {
  const { window, dilation = 1, pinned = [] } = options;
  const room = window * dilation + 1;
  const [heads, width] = mixer.cacheShape;
  return {
    start: (batch) => {
      const shape = [batch, heads, pinned.length + room, width];
      return { key: filled(shape, 0), value: filled(shape, 0) };
    },
    step: (params, x, state, { position, view }) => {
      const own = mixer.keysAndValues(params, x, view);
      const slots = slotPositions(position, room, pinned);
      const entries = writeSlots(state, own, slots, position);
      const ring = ringView(view, position, slots, { dilation, pinned });
      return { y: mixer.apply(params, { x, cross: entries, view: ring }, {}).y, state: entries };
    },
  };
}

/** The position in each slot: the pinned ones, then in slot r the newest position p ≤ `position` with p ≡ r; negative while empty. */
export function slotPositions(position: Tensor, room: number, pinned: readonly number[] = []): Tensor {
  const ring = sub(position, mod(sub(position, iota(room)), room));
  return pinned.length === 0 ? ring : concat([constant(fromNumbers(pinned, [pinned.length], "int32")), ring], 0);
}

function ringView(view: View, position: Tensor, slots: Tensor, options: Required<Omit<RingOptions, "window">>): View {
  const { dilation, pinned } = options;
  const inRing = greaterEqual(iota(slots.shape[0]!), pinned.length);
  const known = and(greaterEqual(slots, 0), lessEqual(slots, position));
  // A pinned position is visible in its pinned slot, at any distance, and must not count a second time in the ring.
  const once = pinned.length === 0 ? known : and(known, notTwice(slots, inRing, pinned));
  const atStep = equal(mod(sub(position, slots), dilation), 0);
  return viewOfSlots(view, position, slots, dilation === 1 ? once : and(once, or(not(inRing), atStep)));
}

/** Writes the keys and values of a position into the slots assigned to it. */
export function writeSlots(state: KeyValueCache, own: KeyValueCache, slots: Tensor, position: Tensor): KeyValueCache {
  const isOwn = expandDims(equal(slots, position), 1);
  return { key: where(isOwn, own.key, state.key), value: where(isOwn, own.value, state.value) };
}

/** View of the query at `position` on slots that hold the positions `slots` (int32 [L]); `seen` (bool [L]) marks the visible ones. */
export function viewOfSlots(view: View, position: Tensor, slots: Tensor, seen: Tensor): View {
  const mask = expandDims(seen, 0);
  const real = view.keyMask && cast(gather(view.keyMask, maximum(slots, 0), 1), "bool");
  const keyMask = cast(real === undefined ? mask : and(mask, real), "int32");
  const ring = makeView({
    pattern: fullPattern,
    queries: 1,
    keys: slots.shape[0]!,
    keyMask,
    positions: { query: expandDims(position, 0), key: slots },
    ...present({ scores: view.scores }),
  });
  return view.rotate === undefined ? ring : { ...ring, rotate: view.rotate };
}

function notTwice(slots: Tensor, inRing: Tensor, pinned: readonly number[]): Tensor {
  const same = equal(expandDims(slots, 1), constant(fromNumbers(pinned, [1, pinned.length], "int32")));
  const isPinned = max(cast(same, "float32"), { axes: 1 });
  return not(and(inRing, cast(isPinned, "bool")));
}
