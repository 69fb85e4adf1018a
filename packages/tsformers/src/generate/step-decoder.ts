import { type Concrete, fromNumbers, type Tensor } from "@tsformers/engine";
import { startDecoding } from "../depth/states.ts";
import { evaluation } from "../kinds/layer.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { compileWithWeights } from "./compile-with-weights.ts";
import { lastFfnInput } from "./decode-pass.ts";
import { type GivenSlots, givenStep, keptOf, ringSize, slotCount, stepSlots } from "./decode-slots.ts";
import { type DecoderOptions, decoderOf, type PassOut, type RowsDecoder, requireRows } from "./decoding.ts";

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
  type Out = PassOut & { readonly layers: readonly unknown[] };
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
  return decoderOf({
    rows,
    maxLength,
    vocabulary: model.vocabularySize,
    length: () => length,
    read: async (all) => {
      let out: Out | undefined;
      for (let i = 0; i < all[0]!.length; i++) {
        const given = kinds.map((own) => givenStep(own, ringSize(own, maxLength), length));
        const column = all.map((row) => row[i]!);
        const [tokens, position] = [fromNumbers(column, [rows, 1], "int32"), fromNumbers([length], [], "int32")];
        out = await run(layers, tokens, position, given);
        layers = out.layers;
        length++;
      }
      return out!;
    },
    restart: () => {
      layers = start();
      length = 0;
    },
    release: () => step.release(),
  });
}
