import { type Concrete, type DeviceArray, fromNumbers, type Tensor } from "@tsformers/engine";
import { startDecoding } from "../depth/states.ts";
import { evaluation } from "../kinds/layer.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { compileWithWeights } from "./compile-with-weights.ts";
import { lastFfnInput } from "./decode-pass.ts";
import { type GivenSlots, givenStep, keptOf, ringSize, slotCount, stepSlots } from "./decode-slots.ts";
import { copyOf, type DecoderOptions, type RowsDecoder, readers, requireRows } from "./decoding.ts";

/**
 * Decodes with a model of which some layers keep states of their own (sums, clusters, buckets) instead of keys and values: token by
 * token, prompts too. Layers of softmax attention keep keys and values as far back as their patterns see.
 *
 * @throws TypeError when a layer cannot go on position by position
 */
export function openStepDecoder<Params>(
  model: LanguageModel<Params>,
  params: Concrete<Params>,
  options: DecoderOptions,
): RowsDecoder {
  const { device, maxLength, tellsFfnInput = false } = options;
  const rows = requireRows(options);
  const kept = keptOf(model.patterns, maxLength);
  const kinds = [...new Set(kept)];
  const start = () => {
    const slots = kept.map((own) => slotCount(own, maxLength));
    const { trainingState: training } = params as { trainingState?: Record<string, unknown> };
    return startDecoding(model.layers, { batch: rows, capacity: maxLength, slots, training });
  };
  type Out = { logits: DeviceArray; layers: readonly unknown[]; ffnInput?: DeviceArray };
  const step = compileWithWeights(
    (
      params: Params,
      layers: readonly unknown[],
      tokens: Tensor,
      position: Tensor,
      given: readonly GivenSlots<Tensor>[],
    ) => {
      const seen = kinds.map((own, kind) => stepSlots(own, ringSize(own, maxLength), position, given[kind]!));
      const slots = kept.map((own) => seen[kinds.indexOf(own)]!);
      const decode = { layers, position, capacity: maxLength, slots };
      const out = model.apply(params, { tokens, decode }, evaluation);
      const told = tellsFfnInput ? { ffnInput: lastFfnInput(out, 1) } : {};
      return { logits: out.logits, layers: out.state.decode!, ...told };
    },
    params,
    { device },
  );
  const run = step as (...args: unknown[]) => Promise<Out>;
  let layers = start();
  let length = 0;
  let ffnInput: Float32Array | undefined;
  const decoder = {
    rows,
    maxLength,
    vocabulary: model.vocabularySize,
    get length() {
      return length;
    },
    get ffnInput() {
      return ffnInput;
    },
  };
  const readAll = async (all: readonly (readonly number[])[]) => {
    let out: Out | undefined;
    for (let i = 0; i < all[0]!.length; i++) {
      const given = kinds.map((own) => givenStep(own, ringSize(own, maxLength), length));
      const tokens = fromNumbers(
        all.map((row) => row[i]!),
        [rows, 1],
        "int32",
      );
      out = await run(layers, tokens, fromNumbers([length], [], "int32"), given);
      layers = out.layers;
      length++;
    }
    if (out!.ffnInput !== undefined) ffnInput = await copyOf(out!.ffnInput);
    return copyOf(out!.logits);
  };
  return Object.assign(decoder, readers(decoder, readAll), {
    restart: () => {
      layers = start();
      length = 0;
    },
    release: () => step.release(),
  });
}
