import { flatten, isNdArray, randomKey, sizeOf } from "@tsformers/engine";
import { startDecoding, startTraining } from "../depth/states.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { keptOf, slotCount } from "./decode-slots.ts";

/**
 * What a model keeps of one row in all its layers while it writes, in bytes: keys and values as far back as patterns see, or states of other
 * mechanisms.
 *
 * @param length positions that there is room for
 * @returns undefined for a model that cannot write token by token
 */
export function decodeStateBytes(
  { layers, patterns, causal, maxLength }: LanguageModel,
  length: number,
): number | undefined {
  if (!causal) return undefined;
  if (layers.some(({ cacheShape, startDecoding: start }) => cacheShape === undefined && start === undefined))
    return undefined;
  const capacity = Math.min(length, maxLength ?? length);
  const slots = keptOf(patterns, capacity).map((own) => slotCount(own, capacity));
  const states = startDecoding(layers, { batch: 1, capacity, slots, training: startTraining(layers, randomKey(0)) });
  return flatten(states, isNdArray).leaves.reduce((sum, { size, dtype }) => sum + size * sizeOf(dtype), 0);
}
