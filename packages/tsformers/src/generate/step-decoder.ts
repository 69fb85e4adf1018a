import {
  type Concrete,
  compile,
  type DeviceArray,
  fromNumbers,
  isNdArray,
  mapTree,
  type OnDevice,
  type Tensor,
} from "@tsformers/engine";
import type { LanguageModel } from "../models/language-model.ts";
import { evaluation } from "../nn/layer.ts";
import { type Decoder, type DecoderOptions, requireTokens } from "./decoder.ts";

/**
 * Decodes with a model whose layers keep states of their own (sums, windows, buckets) instead of all keys and values: token by
 * token, prompts too.
 *
 * @throws TypeError when the model has no such states
 */
export function openStepDecoder<Params>(
  model: LanguageModel<Params>,
  params: Concrete<Params>,
  { device, maxLength }: DecoderOptions,
): Decoder {
  if (model.startPast === undefined)
    throw new TypeError("openStepDecoder: this model cannot go on position by position");
  const held = mapTree(params, isNdArray, (array) => device.put(array)) as OnDevice<Params>;
  const start = () => model.startPast!(params, 1, maxLength);
  const step = compile(
    (params: Params, layers: readonly unknown[], tokens: Tensor, position: Tensor) => {
      const past = { layers, position, capacity: maxLength };
      const out = model.apply(params, { tokens, past }, evaluation);
      return { logits: out.logits, layers: out.past! };
    },
    { device },
  ) as unknown as (...args: unknown[]) => Promise<{ logits: DeviceArray; layers: readonly unknown[] }>;
  let layers = start();
  let length = 0;
  return {
    maxLength,
    get length() {
      return length;
    },
    read: async (tokens) => {
      requireTokens(tokens, length, maxLength, model.vocabularySize);
      let logits: DeviceArray | undefined;
      for (const token of tokens) {
        const given = fromNumbers([token], [1, 1], "int32");
        const out = await step(held, layers, given, fromNumbers([length], [], "int32"));
        layers = out.layers;
        logits = out.logits;
        length++;
      }
      return Float32Array.from((await logits!.read()).data as Float32Array);
    },
    restart: () => {
      layers = start();
      length = 0;
    },
    release: () => (step as unknown as { release(): Promise<void> }).release(),
  };
}
