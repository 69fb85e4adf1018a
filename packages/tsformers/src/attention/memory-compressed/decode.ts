import {
  add,
  concat,
  div,
  equal,
  expandDims,
  full as fullArray,
  iota,
  mod,
  ones,
  reshape,
  slice,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { KeyValueCache, Recurrent } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import { attend } from "../core/executor.ts";
import { type HeadProjections, realAt } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { makeView } from "../core/view.ts";
import { causal } from "../patterns/pattern.ts";
import type { AttentionParams } from "../softmax/attention.ts";
import { refusals, type SlotMaker, type SlotOptions, type SlotParams } from "./slots.ts";

/** Decode state: slots so far, which of them are real [B, L], and the inputs of the current block, [B, factor, C] and [B, factor]. */
export type MemoryCompressedState = KeyValueCache & { filled: Tensor; block: Tensor; real: Tensor };

type Params = AttentionParams & SlotParams;

/** The causal form, position by position. */
export function memoryCompressedRecurrent(
  name: string,
  options: SlotOptions,
  { headWidth, toHeads, fromHeads }: HeadProjections,
  slots: SlotMaker,
): Recurrent<Params, MemoryCompressedState> {
  const { modelWidth, heads, factor, rule } = options;
  const scale = 1 / Math.sqrt(headWidth);
  return {
    start: (batch, capacity) => {
      const count = 1 + Math.floor(capacity / factor);
      const entries = fullArray([batch, heads, count, headWidth], 0);
      return {
        key: entries,
        value: entries,
        filled: fullArray([batch, count], 0),
        block: fullArray([batch, factor, modelWidth], 0),
        real: fullArray([batch, factor], 0),
      };
    },
    step: (params, x, state, { position, view }) => {
      requireSupport(name, view, refusals);
      const [batch] = x.shape as [number];
      const [, count] = state.filled.shape as [number, number];
      const isReal = realAt(view.keyMask, position) ?? ones([batch, 1]);
      // Leftovers of the previous block give a wrong slot; it becomes visible only after the current block has overwritten all
      // of them.
      const place = equal(iota(factor), mod(position, factor));
      const block = where(expandDims(place, -1), x, state.block);
      const real = where(place, isReal, state.real);
      const own = slots.blocks(params, block, real);
      const first = slots.first(params, x, isReal)!;
      const isFirst = equal(position, 0);
      const isOwn = equal(iota(count), add(div(position, factor), 1));
      const write = (old: Tensor, fresh: Tensor, ahead: Tensor) => {
        const head = where(isFirst, ahead, slice(old, -2, 0, 1));
        return where(expandDims(isOwn, -1), fresh, concat([head, slice(old, -2, 1)], -2));
      };
      const column = (flags: Tensor) => expandDims(flags, -1);
      const next = {
        key: write(state.key, own.key, first.key),
        value: write(state.value, own.value, first.value),
        filled: reshape(write(column(state.filled), column(own.filled!), column(first.filled!)), [batch, count]),
      };
      // Position t sees the slots up to `seen`, like a causal query at that offset.
      const seen = div(add(position, 1 - rule.delay), factor);
      const shown = makeView({ pattern: causal, queries: 1, keys: count, offset: seen, keyMask: next.filled });
      const { mixed } = attend(toHeads(params.query, x), next, { view: shown, scale, context: evaluation });
      return { y: fromHeads(params.out, mixed, evaluation), state: { ...next, block, real } };
    },
  };
}
