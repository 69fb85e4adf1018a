import {
  type Concrete,
  compile,
  constant,
  flatten,
  fromNumbers,
  isNdArray,
  mapTree,
  type OnDevice,
  type Tensor,
} from "@tsformers/engine";
import { readsInPasses } from "../depth/states.ts";
import type { KeyValueCache } from "../kinds/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { capacityFor, decodeCache } from "./decode-cache.ts";
import { decodePass, type TracedAt } from "./decode-pass.ts";
import { type GivenSlots, givenChunk, givenOne, givenStep, keptOf, nextSlots, ringSize } from "./decode-slots.ts";
import { type DecoderOptions, decoderOf, type PassOut, type RowsDecoder, requireRows } from "./decoding.ts";
import { openStepDecoder } from "./step-decoder.ts";

export type { Decoder, DecoderOptions, RowsDecoder } from "./decoding.ts";

/**
 * Prepares a model for decoding one sequence, or several side by side, with cached keys and values.
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
): RowsDecoder {
  const { device, tokensPerPass = 512, tellsFfnInput = false } = options;
  if (!(Number.isInteger(options.maxLength) && options.maxLength >= 1))
    throw new RangeError(`openDecoder: expected maxLength of 1 or more, got ${options.maxLength}`);
  if (!(Number.isInteger(tokensPerPass) && tokensPerPass >= 1))
    throw new RangeError(`openDecoder: expected tokensPerPass of 1 or more, got ${tokensPerPass}`);
  const rows = requireRows(options);
  const maxLength = Math.min(options.maxLength, model.maxLength ?? options.maxLength);
  if (!readsInPasses(model.layers)) return openStepDecoder(model, params, { device, maxLength, rows, tellsFfnInput });
  const held = mapTree(params, isNdArray, (array) => device.put(array)) as OnDevice<Params>;
  const kept = keptOf(model.patterns, maxLength);
  const kinds = [...new Set(kept)];
  const cache = decodeCache(model.layers, kept, device, rows);

  const advance = decodePass(model, kept, cache, tellsFfnInput);
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
      if (pass.width === 1) return cache.appends ? givenOne(own, ring, length) : givenStep(own, ring, length);
      // As many as there would be room for, had nothing longer been read before.
      const seen = { ring, near: Math.min(ring, capacityFor(length)) };
      const before = length === 0 ? {} : givenChunk(own, seen, pass);
      return device.sharesMemory ? before : { ...before, next: nextSlots(own, seen, pass) };
    });

  type Out = PassOut & { readonly layers: OnDevice<readonly KeyValueCache[]> };
  const pass = async (tokens: readonly (readonly number[])[]): Promise<Out> => {
    const count = tokens[0]!.length;
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
    const filling = new Array<number>(width - count).fill(0);
    const filled = fromNumbers(
      tokens.flatMap((row) => [...row, ...filling]),
      [rows, width],
      "int32",
    );
    const scalar = (value: number) => fromNumbers([value], [], "int32");
    const at = { length: scalar(length), count: scalar(count), given: given({ length, count, width }) };
    type Run = (...args: unknown[]) => Promise<Out>;
    const run = (program: unknown, ...args: unknown[]) => (program as Run)(...args, filled, at);
    const out =
      width === 1
        ? await (isConstant ? run(step, cache.layers) : run(prefill, held, cache.layers))
        : await (length === 0 ? run(first, held, []) : run(prefill, held, cache.layers));
    await makeRoom();
    await cache.keep(out.layers, length, count);
    length += count;
    return out;
  };

  return decoderOf({
    rows,
    maxLength,
    vocabulary: model.vocabularySize,
    length: () => length,
    read: async (tokens) => {
      let out: Out | undefined;
      for (let from = 0; from < tokens[0]!.length; from += tokensPerPass) {
        out = await pass(tokens.map((row) => row.slice(from, from + tokensPerPass)));
      }
      return out!;
    },
    restart: () => {
      cache.clear();
      length = 0;
    },
    release: async () => {
      await step.release();
      await first.release();
      await prefill.release();
      await cache.release();
    },
  });
}

/** An ONNX model holds at most 2 GiB. */
const largestConstantBytes = 2 ** 30;

function parameterBytes(params: unknown): number {
  return flatten(params, isNdArray).leaves.reduce((sum, { data }) => sum + data.byteLength, 0);
}
