import {
  type Concrete,
  compile,
  constant,
  type DeviceArray,
  flatten,
  fromNumbers,
  gather,
  isNdArray,
  mapTree,
  type OnDevice,
  sub,
  type Tensor,
} from "@tsformers/engine";
import { readsInPasses } from "../depth/states.ts";
import type { KeyValueCache } from "../kinds/index.ts";
import { evaluation } from "../kinds/layer.ts";
import type { LanguageModel, LanguageModelOutput } from "../models/language-model.ts";
import { present } from "../schema/present.ts";
import { capacityFor, decodeCache } from "./decode-cache.ts";
import {
  chunkSlots,
  type GivenSlots,
  givenChunk,
  givenStep,
  keptOf,
  nextSlots,
  ringSize,
  stepSlots,
} from "./decode-slots.ts";
import { type Decoder, type DecoderOptions, requireTokens } from "./decoding.ts";
import { openStepDecoder } from "./step-decoder.ts";

export type { Decoder, DecoderOptions } from "./decoding.ts";

/**
 * Prepares a model for decoding one sequence with cached keys and values.
 *
 * Prompts are read in passes of some tokens each, so that memory grows with their length and not with its square. Where a layer's
 * pattern bounds how far back it sees, keys and values are kept as far as that (`reachOf`), and no position costs more than the one
 * before. Otherwise the cache has room for 64 positions, then 128, 256, …, and never more than `maxLength`.
 *
 * A program is compiled once for each capacity: one that reads a single token, and one for prompts, which are filled up to a power
 * of two; the filling comes after the prompt, where causal models do not look, and is not kept.
 *
 * @throws RangeError for a `maxLength` below 1, and for a pattern that is not causal
 */
export function openDecoder<Params>(
  model: LanguageModel<Params>,
  params: Concrete<Params>,
  options: DecoderOptions,
): Decoder {
  const { device, tokensPerPass = 512 } = options;
  if (!(Number.isInteger(options.maxLength) && options.maxLength >= 1))
    throw new RangeError(`openDecoder: expected maxLength of 1 or more, got ${options.maxLength}`);
  if (!(Number.isInteger(tokensPerPass) && tokensPerPass >= 1))
    throw new RangeError(`openDecoder: expected tokensPerPass of 1 or more, got ${tokensPerPass}`);
  const maxLength = Math.min(options.maxLength, model.maxLength ?? options.maxLength);
  if (!readsInPasses(model.layers)) return openStepDecoder(model, params, { device, maxLength });
  const held = mapTree(params, isNdArray, (array) => device.put(array)) as OnDevice<Params>;
  const kept = keptOf(model.patterns, maxLength);
  const kinds = [...new Set(kept)];
  const cache = decodeCache(model.layers, kept, device);

  const advance = (params: Params, layers: readonly KeyValueCache[], tokens: Tensor, at: TracedAt) => {
    const { length, count, given } = at;
    const width = tokens.shape[1]!;
    const seen = kinds.map((own, kind) => {
      if (width > 1) return chunkSlots(own, width, length, given[kind]!);
      return stepSlots(own, layers[kept.indexOf(own)]!.key.shape[2]!, length, given[kind]!);
    });
    const ofLayer = <T>(list: readonly T[], layer: number): T => list[kinds.indexOf(kept[layer]!)]!;
    const ordered = layers.map((entries, layer) => inOrder(entries, ofLayer(given, layer).order));
    const slots = kept.map((_, layer) => ofLayer(seen, layer));
    const capacity = ordered[0]?.key.shape[2] ?? width;
    const decode = { layers: ordered, position: length, capacity, slots };
    const out = model.apply(params, { tokens, decode }, evaluation);
    const kv = out.state.decode as readonly KeyValueCache[];
    return {
      logits: lastLogits(out, count),
      layers: kv.map((entries, layer) => {
        const { rows } = slots[layer]!;
        return cache.result(entries, { width, ...present({ rows, next: ofLayer(given, layer).next }) });
      }),
    };
  };
  // On a device of its own the cache alternates between two sets of buffers.
  const donated = (argument: number) => (device.sharesMemory ? {} : { donate: [argument] });
  const first = compile(advance, { device });
  const prefill = compile(advance, { device, ...donated(1) });
  // Part of the program, the parameters are laid out for their products once; handing them in costs more than a small model's step.
  const isConstant = parameterBytes(params) <= largestConstantBytes;
  const fixed = (layers: readonly KeyValueCache[], tokens: Tensor, at: TracedAt) =>
    advance(mapTree(params, isNdArray, (array) => constant(array)) as Params, layers, tokens, at);
  const step = compile(fixed, { device, ...donated(0) });
  let length = 0;

  const given = (pass: { length: number; count: number; width: number }) =>
    kinds.map((own): GivenSlots => {
      const ring = ringSize(own, cache.capacity);
      if (pass.width === 1) return givenStep(own, ring, length);
      // As many as there would be room for, had nothing longer been read before.
      const seen = { ring, near: Math.min(ring, capacityFor(length)) };
      const before = length === 0 ? {} : givenChunk(own, seen, pass);
      return device.sharesMemory ? before : { ...before, next: nextSlots(own, seen, pass) };
    });

  /** @returns logits [V] */
  const pass = async (tokens: readonly number[]): Promise<DeviceArray> => {
    const count = tokens.length;
    const width = Math.min(tokensPerPass, 2 ** Math.ceil(Math.log2(count)));
    const makeRoom = async () => {
      if (!cache.needsMore(length + count)) return;
      // One copy of the parameters at a time, and no memory for programs that are not run again.
      await step.release();
      await prefill.release();
      await cache.grow(length + count, length);
    };
    // A prompt's own positions are written into shared memory when they are there: until then it does with the room there was.
    if (width === 1 || !device.sharesMemory) await makeRoom();
    const filled = fromNumbers([...tokens, ...new Array<number>(width - count).fill(0)], [1, width], "int32");
    const scalar = (value: number) => fromNumbers([value], [], "int32");
    const at = { length: scalar(length), count: scalar(count), given: given({ length, count, width }) };
    type Run = (...args: unknown[]) => Promise<{ logits: DeviceArray; layers: OnDevice<readonly KeyValueCache[]> }>;
    const run = (program: unknown, ...args: unknown[]) => (program as Run)(...args, filled, at);
    const out =
      width === 1
        ? await (isConstant ? run(step, cache.layers) : run(prefill, held, cache.layers))
        : await (length === 0 ? run(first, held, []) : run(prefill, held, cache.layers));
    await makeRoom();
    await cache.keep(out.layers, length, count);
    length += count;
    return out.logits;
  };

  return {
    maxLength,
    get length() {
      return length;
    },
    read: async (tokens) => {
      requireTokens(tokens, length, maxLength, model.vocabularySize);
      let logits: DeviceArray | undefined;
      for (let from = 0; from < tokens.length; from += tokensPerPass) {
        logits = await pass(tokens.slice(from, from + tokensPerPass));
      }
      // A copy: the next step may write into this memory.
      return Float32Array.from((await logits!.read()).data as Float32Array);
    },
    restart: () => {
      length = 0;
    },
    release: async () => {
      await step.release();
      await first.release();
      await prefill.release();
      await cache.release();
    },
  };
}

/** Where a pass stands, as the trace sees it. */
type TracedAt = {
  readonly length: Tensor;
  readonly count: Tensor;
  readonly given: readonly GivenSlots<Tensor>[];
};

function inOrder({ key, value }: KeyValueCache, order: Tensor | undefined): KeyValueCache {
  return order === undefined ? { key, value } : { key: gather(key, order, 2), value: gather(value, order, 2) };
}

/** Logits of the last of `count` positions, and of no other where the model can do without. */
function lastLogits({ logits, x, toLogits }: LanguageModelOutput, count: Tensor): Tensor {
  if (logits.shape[1] === 1) return logits;
  const last = sub(count, 1);
  return toLogits === undefined ? gather(logits, last, 1) : toLogits(gather(x, last, 1));
}

/** An ONNX model holds at most 2 GiB. */
const largestConstantBytes = 2 ** 30;

function parameterBytes(params: unknown): number {
  return flatten(params, isNdArray).leaves.reduce((sum, { data }) => sum + data.byteLength, 0);
}
