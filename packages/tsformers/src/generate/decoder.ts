import {
  type Concrete,
  compile,
  constant,
  type Device,
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
import type { KeyValueCache } from "../attention/kinds.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { evaluation } from "../nn/layer.ts";
import { decodeCache } from "./decode-cache.ts";
import { openStepDecoder } from "./step-decoder.ts";

/** Decodes one sequence, token after token, each seen once: keys and values of earlier positions are kept. */
export type Decoder = {
  /** How many tokens were read so far. */
  readonly length: number;
  /** How many tokens it can read: no more than the model has positions. */
  readonly maxLength: number;
  /** Reads tokens behind those read before. @returns logits [V] for the token that follows */
  read(tokens: readonly number[]): Promise<Float32Array>;
  /** Forgets every token; compiled programs stay. */
  restart(): void;
  release(): Promise<void>;
};

export type DecoderOptions = {
  readonly device: Device;
  /** Reading more tokens than this is an error; what bounds the memory. */
  readonly maxLength: number;
};

/**
 * Prepares a model for decoding one sequence with cached keys and values.
 *
 * The cache has room for 64 positions, then 128, 256, …: it grows when it is full and never beyond what `maxLength` needs.
 * A program is compiled once for each capacity: one that reads a single token, and one for prompts, which are filled up to a power of two;
 * the filling comes after the prompt, where causal models do not look, and is overwritten.
 */
export function openDecoder<Params>(
  model: LanguageModel<Params>,
  params: Concrete<Params>,
  options: DecoderOptions,
): Decoder {
  if (!(Number.isInteger(options.maxLength) && options.maxLength >= 1))
    throw new RangeError(`openDecoder: expected maxLength of 1 or more, got ${options.maxLength}`);
  const { device } = options;
  const maxLength = Math.min(options.maxLength, model.maxLength ?? options.maxLength);
  if (model.startPast !== undefined) return openStepDecoder(model, params, { device, maxLength });
  const held = mapTree(params, isNdArray, (array) => device.put(array)) as OnDevice<Params>;
  const cache = decodeCache(model as LanguageModel<never>, device);
  const advance = (params: Params, layers: readonly KeyValueCache[], tokens: Tensor, length: Tensor, count: Tensor) => {
    const out = model.apply(params, { tokens, cache: { layers, length } }, evaluation);
    return {
      logits: gather(out.logits, sub(count, 1), 1),
      layers: cache.results(out.cache!, length, tokens.shape[1]!),
    };
  };
  // On a device of its own the cache alternates between two sets of buffers.
  const donated = (argument: number) => (device.sharesMemory ? {} : { donate: [argument] });
  const prefill = compile(advance, { device, ...donated(1) });
  // Part of the program, the parameters are laid out for their products once; handing them in costs more than a small model's step.
  const isConstant = parameterBytes(params) <= largestConstantBytes;
  const fixed = (layers: readonly KeyValueCache[], tokens: Tensor, length: Tensor, count: Tensor) =>
    advance(mapTree(params, isNdArray, (array) => constant(array)) as Params, layers, tokens, length, count);
  const step = compile(fixed, { device, ...donated(0) });
  let length = 0;

  return {
    maxLength,
    get length() {
      return length;
    },
    read: async (tokens) => {
      requireTokens(tokens, length, maxLength, model.vocabularySize);
      const width = tokens.length === 1 ? 1 : 2 ** Math.ceil(Math.log2(tokens.length));
      if (length + width > cache.capacity) {
        // One copy of the parameters at a time.
        await step.release();
        await cache.grow(length + width, length);
      }
      const filled = fromNumbers([...tokens, ...new Array<number>(width - tokens.length).fill(0)], [1, width], "int32");
      const scalar = (value: number) => fromNumbers([value], [], "int32");
      type Run = (...args: unknown[]) => Promise<{ logits: DeviceArray; layers: OnDevice<readonly KeyValueCache[]> }>;
      const rest = [cache.layers, filled, scalar(length), scalar(tokens.length)];
      const out =
        width === 1 && isConstant
          ? await (step as unknown as Run)(...rest)
          : await (prefill as unknown as Run)(held, ...rest);
      await cache.keep(out.layers, length);
      length += tokens.length;
      // A copy: the next step may write into this memory.
      return Float32Array.from((await out.logits.read()).data as Float32Array);
    },
    restart: () => {
      length = 0;
    },
    release: async () => {
      await step.release();
      await prefill.release();
      await cache.release();
    },
  };
}

/** @throws RangeError for no tokens, too many, and those that are not in the vocabulary */
export function requireTokens(tokens: readonly number[], length: number, maxLength: number, vocabulary: number): void {
  if (tokens.length === 0) throw new RangeError("read: expected at least one token");
  if (length + tokens.length > maxLength) {
    throw new RangeError(`read: ${length + tokens.length} tokens are more than maxLength ${maxLength}`);
  }
  const wrong = tokens.find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabulary));
  if (wrong !== undefined) throw new RangeError(`read: expected tokens of 0 … ${vocabulary - 1}, got ${wrong}`);
}

/** An ONNX model holds at most 2 GiB. */
const largestConstantBytes = 2 ** 30;

function parameterBytes(params: unknown): number {
  return flatten(params, isNdArray).leaves.reduce((sum, { data }) => sum + data.byteLength, 0);
}
