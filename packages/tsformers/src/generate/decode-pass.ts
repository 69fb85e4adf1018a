import { gather, reshape, sub, type Tensor } from "@tsformers/engine";
import type { KeyValueCache } from "../kinds/index.ts";
import { evaluation } from "../kinds/layer.ts";
import { ffnInputOf, type LanguageModel, type LanguageModelOutput } from "../models/language-model.ts";
import { present } from "../schema/present.ts";
import type { DecodeCache } from "./decode-cache.ts";
import { chunkSlots, type GivenSlots, type Kept, oneSlots, stepSlots } from "./decode-slots.ts";

/** Where a pass stands, as the trace sees it. */
export type TracedAt = {
  /** Positions before the pass. */
  readonly length: Tensor;
  /** How many of its tokens are no filling. */
  readonly count: Tensor;
  /** Slots for each kind of layer. */
  readonly given: readonly GivenSlots<Tensor>[];
};

/** tokens [B, T] → logits of B·V numbers, what the layers keep, and the input [C] of the last feed-forward network if it is told. */
export type DecodePass<Params> = (
  params: Params,
  layers: readonly KeyValueCache[],
  tokens: Tensor,
  at: TracedAt,
) => { readonly logits: Tensor; readonly layers: readonly KeyValueCache[]; readonly ffnInput?: Tensor };

/**
 * A pass over some tokens, to be traced: logits of the last of them, and what the layers keep.
 *
 * @param kept what each layer keeps; layers that keep the same are of one kind
 */
export function decodePass<Params>(
  model: LanguageModel<Params>,
  kept: readonly Kept[],
  cache: DecodeCache,
  tellsFfnInput: boolean,
): DecodePass<Params> {
  const kinds = [...new Set(kept)];
  const ofLayer = <T>(list: readonly T[], layer: number): T => list[kinds.indexOf(kept[layer]!)]!;
  return (params, layers, tokens, { length, count, given }) => {
    const width = tokens.shape[1]!;
    const seen = kinds.map((own, kind) => {
      if (width > 1) return chunkSlots(own, width, length, given[kind]!);
      if (cache.appends) return oneSlots(own, length, given[kind]!);
      return stepSlots(own, layers[kept.indexOf(own)]!.key.shape[2]!, length, given[kind]!);
    });
    const ordered = layers.map((entries, layer) => inOrder(entries, ofLayer(given, layer).order));
    const slots = kept.map((_, layer) => ofLayer(seen, layer));
    const capacity = ordered[0]?.key.shape[2] ?? width;
    const decode = { layers: ordered, position: length, capacity, slots };
    const out = model.apply(params, { tokens, decode }, evaluation);
    const kv = out.state.decode as readonly KeyValueCache[];
    return {
      logits: lastLogits(out, count),
      ...(tellsFfnInput && { ffnInput: lastFfnInput(out, count) }),
      layers: kv.map((entries, layer) =>
        cache.result(entries, { width, ...present({ next: ofLayer(given, layer).next }) }),
      ),
    };
  };
}

function inOrder({ key, value }: KeyValueCache, order: Tensor | undefined): KeyValueCache {
  return order === undefined ? { key, value } : { key: gather(key, order, 2), value: gather(value, order, 2) };
}

/** Logits of the last of `count` positions, and of no other where the model can do without. */
function lastLogits({ logits, x, toLogits }: LanguageModelOutput, count: Tensor): Tensor {
  if (logits.shape[1] === 1) return logits;
  const last = sub(count, 1);
  return toLogits === undefined ? gather(logits, last, 1) : toLogits(gather(x, last, 1));
}

/**
 * What goes into the last feed-forward network at the last of `count` positions, [C].
 *
 * @throws TypeError for a model that does not tell it
 */
export function lastFfnInput(out: LanguageModelOutput, count: Tensor | number): Tensor {
  const all = ffnInputOf(out);
  return reshape(all.shape[1] === 1 ? all : gather(all, sub(count, 1), 1), [all.shape.at(-1)!]);
}
