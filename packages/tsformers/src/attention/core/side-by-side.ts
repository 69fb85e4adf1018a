import {
  add,
  broadcastTo,
  type Concrete,
  concat,
  iota,
  pad,
  type RandomKey,
  splitKey,
  type Tensor,
} from "@tsformers/engine";
import type { AttentionMap, LayerState, Mixer, MixerOutput, Recurrent, SegmentMemory } from "../../kinds/index.ts";
import { within } from "../../nn/dropout.ts";
import { sumOfLosses } from "../../nn/losses.ts";
import { present } from "../../schema/present.ts";

type Named<T> = Readonly<Record<string, T>>;

/**
 * Several mixers as one, each with heads of its own: for instance some heads attend locally and others by content.
 *
 * `y = Σ_i mixer_i(x)`: projecting each group of heads back and adding the results equals one output projection of all heads. Losses
 * are added, attention maps joined head by head. It decodes if all of the mixers do.
 *
 * @param mixers by name, which is also the name of the mixer's parameters; each has the model's width and some of the heads
 * @shape  x [B, T, C] → y [B, T, C]
 */
export function headsBeside(mixers: Named<Mixer>): Mixer<Named<unknown>> {
  const all = Object.entries(mixers);
  const byName = <T>(of: (mixer: Mixer, name: string) => T | undefined): Record<string, T> => {
    const found = all.map(([name, mixer]): [string, T | undefined] => [name, of(mixer, name)]);
    return Object.fromEntries(found.filter((entry): entry is [string, T] => entry[1] !== undefined));
  };
  const keyed = (key: RandomKey): Map<string, RandomKey> => {
    const keys = splitKey(key, all.length);
    return new Map(all.map(([name], i) => [name, keys[i]!]));
  };

  const recurrent: Recurrent<Named<unknown>, Named<unknown>> = {
    start: (batch, capacity, training) =>
      byName(({ recurrent }, name) =>
        recurrent!.start(batch, capacity, (training as Named<unknown> | undefined)?.[name]),
      ) as Concrete<Named<unknown>>,
    step: (params, x, state, at) => {
      const steps = byName(({ recurrent }, name) => recurrent!.step(params[name], x, state[name], at));
      const ys = Object.values(steps).map(({ y }) => y);
      return { y: sumOf(ys), state: byName((_, name) => steps[name]!.state) };
    },
  };

  const sights = all.map(([, { sees }]) => sees);
  return {
    name: all.map(([, { name }]) => name).join(" beside "),
    sees: (["all", "pattern"] as const).find((sight) => sights.includes(sight)) ?? "earlier",
    ...(all.some(([, { readsGlobals }]) => readsGlobals) && { readsGlobals: true }),
    init: (key) => {
      const keys = keyed(key);
      return byName((mixer, name) => mixer.init(keys.get(name)!)) as Concrete<Named<unknown>>;
    },
    apply: (params, input, context) => {
      const outs = byName((mixer, name) =>
        mixer.apply(params[name], { ...input, state: stateOf(input.state, name) }, within(context, name)),
      );
      const results = Object.values(outs);
      const maps = results.flatMap(({ map }) => map ?? []);
      return {
        y: sumOf(results.map(({ y }) => y)),
        losses: sumOfLosses(results.map(({ losses }) => losses)),
        ...(maps.length === results.length && { map: () => joined(maps.map((map) => map())) }),
        ...(input.state !== undefined && { state: joinedStates(outs, input.state) }),
      };
    },
    ...(all.some(([, { initTrainingState }]) => initTrainingState !== undefined) && {
      initTrainingState: (key: RandomKey) => {
        const keys = keyed(key);
        return byName(({ initTrainingState }, name) => initTrainingState?.(keys.get(name)!));
      },
    }),
    ...(all.some(([, { segment }]) => segment !== undefined) && { segment: joinedMemory(all) }),
    ...(all.every(([, { recurrent }]) => recurrent !== undefined) && { recurrent }),
  };
}

/** The part of each sort of state that is one mixer's. */
function stateOf(state: LayerState | undefined, name: string): LayerState {
  const sorts = Object.entries(state ?? {}).map(([sort, of]) => [sort, (of as Named<unknown> | undefined)?.[name]]);
  return Object.fromEntries(sorts.filter(([, own]) => own !== undefined));
}

/** What each mixer keeps, by name, of the sorts that went in. */
function joinedStates(outs: Named<MixerOutput>, before: LayerState): LayerState {
  const named = (sort: keyof LayerState) => {
    const own = Object.entries(outs).map(([name, { state }]) => [name, state?.[sort]]);
    return Object.fromEntries(own.filter(([, kept]) => kept !== undefined));
  };
  return Object.fromEntries(Object.keys(before).map((sort) => [sort, named(sort as keyof LayerState)]));
}

/** @throws RangeError for memories of different lengths: all heads have one view */
function joinedMemory(all: readonly (readonly [string, Mixer])[]): SegmentMemory {
  const memories = all.map(([name, { segment }]) => [name, segment] as const);
  const lengths = new Set(memories.map(([, segment]) => segment?.length ?? 0));
  if (lengths.size > 1) {
    throw new RangeError(`heads beside each other need memories of one length, got ${[...lengths].join(" and ")}`);
  }
  return {
    length: memories[0]![1]!.length,
    init: (batch) => Object.fromEntries(memories.map(([name, segment]) => [name, segment!.init(batch)])),
  };
}

function sumOf(terms: readonly Tensor[]): Tensor {
  return terms.reduce((a, b) => add(a, b));
}

/** Equal for equal queries: those that the view gives differ in number only. */
function queriesText(queries: NonNullable<AttentionMap["apart"]>["queries"]): string {
  return "shape" in queries ? `the view's ${queries.shape[1]}` : queries.join();
}

/**
 * Attention maps joined along the head axis, padded to the widest.
 *
 * @throws TypeError when the maps do not keep the same queries separately (`apart`)
 */
function joined(maps: readonly AttentionMap[]): AttentionMap {
  const separate = maps.map(({ apart }) => (apart === undefined ? "none" : queriesText(apart.queries)));
  if (new Set(separate).size > 1) {
    throw new TypeError("side by side: cannot join attention maps that keep different queries separately");
  }
  const apart = maps[0]!.apart && {
    queries: maps[0]!.apart.queries,
    weights: concat(
      maps.map((map) => map.apart!.weights),
      1,
    ),
  };
  const width = Math.max(...maps.map(({ weights }) => weights.shape[3]!));
  const wide = (x: Tensor): Tensor =>
    pad(x, [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, width - x.shape[3]!],
    ]);
  const weights = concat(
    maps.map(({ weights }) => wide(weights)),
    1,
  );
  const rest = present({ apart });
  if (maps.every(({ keys }) => keys === undefined)) return { weights, ...rest };
  const keys = maps.map(({ weights, keys }) => wide(broadcastTo(keys ?? iota(weights.shape[3]!), weights.shape)));
  return { weights, keys: concat(keys, 1), ...rest };
}
