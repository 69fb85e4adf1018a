import {
  type Concrete,
  type Device,
  type DeviceArray,
  fromNumbers,
  gather,
  logSoftmax,
  type OnDevice,
  reshape,
  type Tensor,
} from "@tsformers/engine";
import { startDecoding } from "../depth/states.ts";
import type { KeyValueCache } from "../kinds/index.ts";
import { evaluation } from "../kinds/layer.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { type BeamOptions, beamSearch, type Hypothesis } from "./beam-search.ts";
import { compileWithWeights } from "./compile-with-weights.ts";
import { capacityFor } from "./decode-cache.ts";
import { type Decoder, requireTokens } from "./decoding.ts";
import { counted, type Ending } from "./generate.ts";

/** Decodes targets of sources with an encoder-decoder model. */
export type SequenceDecoder = {
  /**
   * The best targets for a source, best first, as many as there are beams.
   *
   * @throws LogitsError when the model's logits stop being finite; the message says after how many tokens
   */
  decode(source: readonly number[], options: BeamOptions): Promise<Hypothesis[]>;
  /**
   * The same for many sources, in their order. Those of about the same length are decoded side by side.
   *
   * @throws the reason of the signal when it aborts, between two batches
   */
  decodeAll(sources: readonly (readonly number[])[], options: ManyOptions): Promise<Hypothesis[][]>;
  /** Encodes a source, and begins a target that is read token by token from its start token on, as {@link generate} does. */
  begin(source: readonly number[], options: { readonly maxLength: number }): Promise<Decoder>;
  release(): Promise<void>;
};

export type ManyOptions = BeamOptions & {
  /** Sources that are decoded side by side. Default: 32. */
  readonly batchSize?: number;
  /** Called after each batch. */
  readonly onProgress?: (done: number, all: number) => void;
};

type Caches = OnDevice<readonly KeyValueCache[]>;

/**
 * Prepares an encoder-decoder for greedy decoding and beam search. The source is encoded once; its keys and values for
 * cross-attention, and those of the targets so far, stay on the device.
 */
export function openSequenceDecoder<Params>(
  model: SequenceToSequence<Params>,
  params: Concrete<Params>,
  { device }: { readonly device: Device },
): SequenceDecoder {
  const encode = compileWithWeights(
    (params: Params, tokens: Tensor, mask: Tensor, rows: Tensor) => {
      const { entries } = model.encode(params, { tokens, mask }, evaluation);
      const repeated = (array: Tensor) => gather(array, rows);
      const each = entries.map(({ key, value }) => ({ key: repeated(key), value: repeated(value) }));
      return { entries: each, mask: repeated(mask) };
    },
    params,
    { device },
  );
  const advance = (
    params: Params,
    layers: readonly KeyValueCache[],
    memory: Memory,
    tokens: Tensor,
    parents: Tensor,
    length: Tensor,
  ) => {
    const follow = (state: Tensor) => gather(state, parents);
    // Where targets go on from themselves, what they keep is written to where it is.
    const chosen =
      parents.shape[0] === 0 ? layers : layers.map(({ key, value }) => ({ key: follow(key), value: follow(value) }));
    const decode = { layers: chosen, position: length, capacity: chosen[0]!.key.shape[2]! };
    const out = model.decode(params, { tokens, encoded: memory, decode }, evaluation);
    const logProbabilities = logSoftmax(reshape(out.logits, [tokens.shape[0]!, model.vocabularySize]));
    return { logProbabilities, layers: out.state.decode as KeyValueCache[] };
  };
  const step = compileWithWeights(advance, params, { device, donate: [0] });
  const run = step as (...args: unknown[]) => Promise<{ logProbabilities: DeviceArray; layers: Caches }>;
  /** Encodes sources, each for `beams` targets side by side of at most `count` tokens. */
  const open = async (sources: readonly (readonly number[])[], beams: number, count: number): Promise<Follow> => {
    for (const source of sources) checkSource(source, model.vocabularySize, model.maxSourceLength);
    const longest = sources.reduce((most, { length }) => Math.max(most, length), 0);
    const width = 2 ** Math.ceil(Math.log2(longest));
    const filled = (value: (source: readonly number[], i: number) => number) =>
      fromNumbers(
        sources.flatMap((source) =>
          Array.from({ length: width }, (_, i) => (i < source.length ? value(source, i) : 0)),
        ),
        [sources.length, width],
        "int32",
      );
    const tokens = filled((source, i) => source[i]!);
    const mask = filled(() => 1);
    const rows = sources.length * beams;
    // The keys and values of a single source serve all its targets.
    const repeated = sources.length === 1 ? [0] : Array.from({ length: rows }, (_, row) => Math.floor(row / beams));
    const memory = await encode(tokens, mask, fromNumbers(repeated, [repeated.length], "int32"));
    let layers: unknown = startDecoding(model.layers, { batch: rows, capacity: capacityFor(count) });
    return async (tokens, parents, length) => {
      const out = await run(
        layers,
        memory,
        fromNumbers(tokens, [rows, 1], "int32"),
        fromNumbers(parents, [parents.length], "int32"),
        fromNumbers([length], [], "int32"),
      );
      layers = out.layers;
      return Float32Array.from((await out.logProbabilities.read()).data as Float32Array);
    };
  };
  const decodeTogether = async (sources: readonly (readonly number[])[], options: BeamOptions) => {
    const { beams = 1, count } = checkBeams(options, model.vocabularySize);
    const maxLength = Math.min(count, model.maxLength ?? count);
    return search(sources.length, { ...options, maxLength }, await open(sources, beams, maxLength));
  };
  return {
    decode: async (source, options) => (await decodeTogether([source], options))[0]!,
    decodeAll: async (sources, { batchSize = 32, onProgress, ...options }) => {
      requireCount("batchSize", batchSize);
      const order = sources.map((_, i) => i).sort((a, b) => sources[a]!.length - sources[b]!.length);
      const found = new Array<Hypothesis[]>(sources.length);
      for (let from = 0; from < order.length; from += batchSize) {
        const places = order.slice(from, from + batchSize);
        const batch = await decodeTogether(
          places.map((place) => sources[place]!),
          options,
        );
        options.signal?.throwIfAborted();
        places.forEach((place, i) => {
          found[place] = batch[i]!;
        });
        onProgress?.(from + places.length, sources.length);
      }
      return found;
    },
    begin: async (source, options) => {
      const maxLength = Math.min(options.maxLength, model.maxLength ?? options.maxLength);
      const follow = await open([source], 1, maxLength);
      let length = 0;
      return {
        maxLength,
        get length() {
          return length;
        },
        read: async (tokens) => {
          requireTokens(tokens, length, maxLength, model.vocabularySize);
          let logits: Float32Array | undefined;
          for (const token of tokens) logits = await follow([token], [], length++);
          return logits!;
        },
        restart: () => {
          length = 0;
        },
        release: async () => {},
      };
    },
    release: async () => {
      await step.release();
      await encode.release();
    },
  };
}

type Memory = { readonly entries: readonly KeyValueCache[]; readonly mask: Tensor };

/**
 * Log-probabilities [rows, V] of the next token when row i continues row `parents[i]` of the previous step with `tokens[i]`. No parents: each row
 * goes on from itself.
 */
type Follow = (tokens: readonly number[], parents: readonly number[], length: number) => Promise<Float32Array>;

/** Searches side by side, each in as many rows as there are beams. */
async function search(
  sources: number,
  options: BeamOptions & { readonly maxLength: number },
  follow: Follow,
): Promise<Hypothesis[][]> {
  const { count, maxLength, beams = 1, signal } = options;
  const searches = Array.from({ length: sources }, () => beamSearch(options));
  let length = 0;
  for (; length < maxLength && !signal?.aborted && searches.some(({ isDone }) => !isDone); length++) {
    const rows = searches.map((one) => one.next());
    const parents = beams === 1 ? [] : rows.flatMap((row, i) => row.parents.map((parent) => i * beams + parent));
    const logs = await follow(
      rows.flatMap(({ tokens }) => tokens),
      parents,
      length,
    );
    const size = logs.length / sources;
    for (const [i, one] of searches.entries()) one.take(logs.subarray(i * size, (i + 1) * size));
  }
  const ended: Ending = length < maxLength ? "interrupted" : maxLength < count ? "positions" : "count";
  return searches.map((one) => one.best(ended));
}

function checkSource(source: readonly number[], vocabularySize: number, maxLength = Number.POSITIVE_INFINITY): void {
  checkTokens("source", source, vocabularySize);
  if (source.length > maxLength)
    throw new RangeError(
      `decode: the source has ${counted(source.length)}, more than the ${maxLength} positions that this model has learned`,
    );
}

function checkTokens(name: string, tokens: readonly number[], vocabularySize: number): void {
  if (tokens.length === 0) throw new RangeError(`decode: the ${name} is empty`);
  const wrong = tokens.find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabularySize));
  if (wrong !== undefined)
    throw new RangeError(`decode: expected a ${name} of tokens 0 … ${vocabularySize - 1}, got ${wrong}`);
}

function checkBeams(options: BeamOptions, vocabularySize: number): BeamOptions {
  const { count, start, endTokens = [], stopTokens = [], beams = 1, lengthPenalty = 1 } = options;
  requireCount("count", count);
  requireCount("beams", beams);
  checkTokens("start", [start], vocabularySize);
  for (const end of [...endTokens, ...stopTokens]) checkTokens("end", [end], vocabularySize);
  if (!Number.isFinite(lengthPenalty))
    throw new RangeError(`decode: expected a finite lengthPenalty, got ${lengthPenalty}`);
  return options;
}

function requireCount(name: string, value: number): void {
  if (!(Number.isInteger(value) && value >= 1))
    throw new RangeError(`decode: expected ${name} of 1 or more, got ${value}`);
}
