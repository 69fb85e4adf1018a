import { add, cast, concat, cumsum, equal, iota, reshape, slice, type Tensor, zeros } from "@tsformers/engine";
import { makeView, makeViewOfSlots } from "../attention/core/view.ts";
import { behindMemory } from "../attention/patterns/behind-memory.ts";
import { causalPart } from "../attention/patterns/causal-part.ts";
import { intersection } from "../attention/patterns/combine.ts";
import { causal, fullPattern } from "../attention/patterns/pattern.ts";
import { reachOf } from "../attention/patterns/reach.ts";
import { roundedReach } from "../attention/patterns/span.ts";
import { slidingWindow } from "../attention/patterns/window.ts";
import type {
  BlockTraits,
  LayerPatterns,
  Pattern,
  Positions,
  QkTransform,
  ScoreMod,
  Slots,
  View,
} from "../kinds/index.ts";
import { present } from "../schema/present.ts";

/** What the layers of a stack see, and how position changes it. */
export type SightParts = {
  /** Whether no position may look ahead: of a pattern that does, the {@link causalPart} is taken. */
  readonly causal: boolean;
  /** What all layers see, or each. Default: everything, or all that came before. Layers whose mixer chooses for itself do not read it. */
  readonly pattern?: Pattern | LayerPatterns;
  readonly scores?: ScoreMod;
  readonly rotation?: QkTransform;
  /** Makes the views. Default: {@link makeView}. */
  readonly makeView?: typeof makeView;
};

/** One pass of a stack. */
export type Pass = {
  readonly queries: number;
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor | undefined;
  /** 1 for global tokens, 0 for others, [B, T]. */
  readonly globals?: Tensor | undefined;
  /** 1 where a document begins, [B, T]: what came before is hidden from there on. */
  readonly begins?: Tensor | undefined;
  /** int32 [B, T], when they are not 0, 1, 2, … */
  readonly positions?: Tensor | undefined;
  /** Present in decoding: how many positions came before (int32 scalar), where each layer keeps them, how many there is room for. */
  readonly decode?:
    | {
        readonly position: Tensor;
        readonly slots?: readonly Slots[] | undefined;
        readonly capacity: number;
      }
    | undefined;
  /** Whether the layers' memories of earlier segments went in. */
  readonly remembers: boolean;
};

/** What a layer sees by its pattern. */
export function patternOfLayer(
  { causal: isCausal, pattern = isCausal ? causal : fullPattern }: SightParts,
  layer: number,
): Pattern {
  return typeof pattern === "function" ? pattern(layer) : pattern;
}

/** What layers see by their patterns, and no farther back than any of their heads does by its scores. */
export function trimmedPattern(parts: SightParts, spans: readonly (readonly number[])[]): LayerPatterns {
  const patterns = spans.map((own, layer) =>
    intersection(patternOfLayer(parts, layer), slidingWindow({ before: roundedReach(Math.max(...own)), after: 0 })),
  );
  return (layer) => patterns[layer]!;
}

/** Where the queries of a pass stand, int32 [T] or [B, T]. */
export function placesOf({ queries, positions, decode }: Pass): Tensor {
  return positions ?? (decode === undefined ? iota(queries) : add(iota(queries), decode.position));
}

/**
 * The view of each layer, made once for layers that see the same.
 *
 * @param scores parameters of the position scores
 */
export function viewsOf(
  parts: SightParts,
  layers: readonly BlockTraits[],
  scores: unknown,
  pass: Pass,
): (layer: number) => View {
  const { queries, mask, globals, begins, positions, decode, remembers } = pass;
  const slotsOf = (layer: number): Slots | undefined =>
    layers[layer]!.cacheShape === undefined ? undefined : decode?.slots?.[layer];
  const rememberedBy = (layer: number): number => (remembers ? (layers[layer]!.segment?.length ?? 0) : 0);
  // What the pattern does not reach of a memory is not looked at.
  const memoryOf = (layer: number): number => {
    const length = rememberedBy(layer);
    if (length === 0 || !parts.causal) return length;
    return Math.min(length, farthest(causalPart(patternOfLayer(parts, layer), length + queries), length + queries));
  };
  const make = (layer: number): View => {
    const slots = slotsOf(layer);
    const memory = memoryOf(layer);
    const keys = (decode?.capacity ?? queries) + memory;
    const own = { queries, keys: slots === undefined ? keys : slots.reach + 1 };
    const schemes = {
      ...present({ rotation: parts.rotation }),
      ...(parts.scores !== undefined && { scores: scoresOf(parts.scores, scores, layer, own) }),
    };
    if (slots !== undefined) return makeViewOfSlots(slots, schemes);
    const pattern = patternOfLayer(parts, layer);
    const seen = parts.causal ? causalPart(pattern, keys) : pattern;
    return (parts.makeView ?? makeView)({
      pattern: memory === 0 ? seen : behindMemory(seen, memory),
      queries,
      keys,
      ...present({ keyMask: mask, globals, offset: decode?.position }),
      ...(begins !== undefined && documentsOf(begins, memory, rememberedBy(layer))),
      ...(memory !== 0 && { memory }),
      ...(positions !== undefined && { positions: { query: positions, key: positions } }),
      ...schemes,
    });
  };
  if (parts.scores?.forLayer !== undefined) return make;
  const known = new Map<string, View>();
  const kinds: (Pattern | Slots)[] = [];
  return (layer) => {
    const seen = slotsOf(layer) ?? patternOfLayer(parts, layer);
    if (!kinds.includes(seen)) kinds.push(seen);
    const name = `${kinds.indexOf(seen)} ${memoryOf(layer)}`;
    const view = known.get(name) ?? make(layer);
    known.set(name, view);
    return view;
  };
}

/** The largest distance at which a pattern shows anything in a sequence of `length`. */
function farthest(pattern: Pattern, length: number): number {
  const { window, pinned } = reachOf(pattern, length);
  return pinned.length === 0 ? window : length;
}

/**
 * What each position sees of its own document, and which positions are of the last one; the memory is of the document that was read last.
 *
 * @param memory   positions of the memory that are looked at
 * @param capacity M, all of them
 * @shape begins [B, T] → visible bool [B, 1, T, memory + T], current int32 [B, M + T]
 */
function documentsOf(begins: Tensor, memory: number, capacity: number): Required<Pick<View, "visible" | "current">> {
  const [batch, length] = begins.shape as [number, number];
  const own = cumsum(begins, 1);
  const behind = (count: number) => concat([zeros([batch, count], own.dtype), own], 1);
  return {
    visible: equal(reshape(own, [batch, 1, length, 1]), reshape(behind(memory), [batch, 1, 1, memory + length])),
    current: cast(equal(slice(own, 1, length - 1), behind(capacity)), "int32"),
  };
}

function scoresOf(scores: ScoreMod, params: unknown, layer: number, pass: { queries: number; keys: number }) {
  const own = scores.forLayer?.(params, layer, pass) ?? params;
  return (where: Positions) => scores.prepare(own, where);
}
