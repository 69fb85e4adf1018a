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
import { compileWithWeights } from "./compile-with-weights.ts";
import { capacityFor } from "./decode-cache.ts";
import { type Decoder, requireTokens } from "./decoding.ts";
import { counted, type Ending, type GenerateOptions } from "./generate.ts";
import { requireLogits } from "./sampling.ts";

export type BeamOptions = Pick<GenerateOptions, "count" | "endTokens" | "stopTokens" | "forbiddenTokens" | "signal"> & {
  /** The first token of the target. */
  readonly start: number;
  /** Candidates kept at each step. Default: 1, greedy decoding. */
  readonly beams?: number;
  /** Scores are log-probabilities divided by length to this power; 0 favours short targets. Default: 1. */
  readonly lengthPenalty?: number;
};

/** A target without its start and end tokens, its score, and why it ended. */
export type Hypothesis = { readonly tokens: readonly number[]; readonly score: number; readonly ended: Ending };

/** Decodes targets of sources with an encoder-decoder model. */
export type SequenceDecoder = {
  /**
   * The best targets for a source, best first, as many as there are beams.
   *
   * @throws LogitsError when the model's logits stop being finite; the message says after how many tokens
   */
  decode(source: readonly number[], options: BeamOptions): Promise<Hypothesis[]>;
  /** Encodes a source, and begins a target that is read token by token from its start token on, as {@link generate} does. */
  begin(source: readonly number[], options: { readonly maxLength: number }): Promise<Decoder>;
  release(): Promise<void>;
};

type Caches = OnDevice<readonly KeyValueCache[]>;

/**
 * Prepares an encoder-decoder for greedy decoding and beam search. The source is encoded once; its keys and values for
 * cross-attention, and those of the targets so far, stay on the device.
 *
 * @source beam search with a length penalty: Wu et al. 2016, "Google's Neural Machine Translation System", §7,
 *   arXiv:1609.08144; here the penalty is lengthᵅ
 */
export function openSequenceDecoder<Params>(
  model: SequenceToSequence<Params>,
  params: Concrete<Params>,
  { device }: { readonly device: Device },
): SequenceDecoder {
  const encode = compileWithWeights(
    (params: Params, tokens: Tensor, mask: Tensor) => ({
      entries: model.encode(params, { tokens, mask }, evaluation).entries,
    }),
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
    // A single target goes on from itself; what it keeps is then written to where it is.
    const isAlone = parents.shape[0] === 1;
    const chosen = isAlone ? layers : layers.map(({ key, value }) => ({ key: follow(key), value: follow(value) }));
    const decode = { layers: chosen, position: length, capacity: chosen[0]!.key.shape[2]! };
    const out = model.decode(params, { tokens, encoded: memory, decode }, evaluation);
    const logProbabilities = logSoftmax(reshape(out.logits, [tokens.shape[0]!, model.vocabularySize]));
    return { logProbabilities, layers: out.state.decode as KeyValueCache[] };
  };
  const step = compileWithWeights(advance, params, { device, donate: [0] });
  const run = step as (...args: unknown[]) => Promise<{ logProbabilities: DeviceArray; layers: Caches }>;
  /** Encodes a source for `beams` targets side by side, each of at most `count` tokens. */
  const open = async (source: readonly number[], beams: number, count: number): Promise<Follow> => {
    checkSource(source, model.vocabularySize, model.maxSourceLength);
    const width = 2 ** Math.ceil(Math.log2(source.length));
    const filled = fromNumbers([...source, ...new Array<number>(width - source.length).fill(0)], [1, width], "int32");
    const mask = fromNumbers(
      Array.from({ length: width }, (_, i) => (i < source.length ? 1 : 0)),
      [1, width],
      "int32",
    );
    const { entries } = (await encode(filled, mask)) as { entries: Caches };
    const memory = { entries, mask };
    let layers: unknown = startDecoding(model.layers, { batch: beams, capacity: capacityFor(count) });
    return async (tokens, parents, length) => {
      const column = fromNumbers(tokens, [beams, 1], "int32");
      const out = await run(
        layers,
        memory,
        column,
        fromNumbers(parents, [beams], "int32"),
        fromNumbers([length], [], "int32"),
      );
      layers = out.layers;
      return Float32Array.from((await out.logProbabilities.read()).data as Float32Array);
    };
  };
  return {
    decode: async (source, options) => {
      const { beams = 1, count } = checkBeams(options, model.vocabularySize);
      const maxLength = Math.min(count, model.maxLength ?? count);
      return search({ ...options, maxLength }, await open(source, beams, maxLength));
    },
    begin: async (source, options) => {
      const maxLength = Math.min(options.maxLength, model.maxLength ?? options.maxLength);
      const follow = await open(source, 1, maxLength);
      let length = 0;
      return {
        maxLength,
        get length() {
          return length;
        },
        read: async (tokens) => {
          requireTokens(tokens, length, maxLength, model.vocabularySize);
          let logits: Float32Array | undefined;
          for (const token of tokens) logits = await follow([token], [0], length++);
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

/** Log-probabilities [beams, V] of the next token when beam i continues beam `parents[i]` of the previous step with `tokens[i]`. */
type Follow = (tokens: readonly number[], parents: readonly number[], length: number) => Promise<Float32Array>;

type Beam = { readonly tokens: readonly number[]; readonly sum: number; readonly parent: number };

async function search(options: BeamOptions & { readonly maxLength: number }, follow: Follow): Promise<Hypothesis[]> {
  const { count, maxLength, start, beams = 1, lengthPenalty = 1, signal } = options;
  const { endTokens = [], stopTokens = [], forbiddenTokens = [] } = options;
  const endings = new Map<number, Ending>([
    ...stopTokens.map((token) => [token, "stop"] as const),
    ...endTokens.map((token) => [token, "end token"] as const),
  ]);
  const forbidden = new Set(forbiddenTokens);
  const score = (sum: number, length: number) => sum / length ** lengthPenalty;
  let live: Beam[] = [{ tokens: [], sum: 0, parent: 0 }];
  let finished: Hypothesis[] = [];
  let length = 0;
  for (; length < maxLength && live.length > 0 && !signal?.aborted; length++) {
    // The program always continues `beams` targets; missing ones repeat the first, and their results are ignored.
    const rows = Array.from({ length: beams }, (_, i) => live[i] ?? live[0]!);
    const logs = await follow(
      rows.map(({ tokens }) => tokens.at(-1) ?? start),
      rows.map(({ parent }) => parent),
      length,
    );
    const vocabulary = logs.length / beams;
    for (const [row] of live.entries()) {
      const own = logs.subarray(row * vocabulary, (row + 1) * vocabulary);
      requireLogits(own, `decode: after ${counted(length)}`, forbiddenTokens);
    }
    const next: Beam[] = [];
    // Enough continuations for all beams even if every end token is among them.
    const limit = Math.max(2, 1 + endings.size) * beams;
    continuations(live, logs, vocabulary, forbidden, limit).forEach(({ parent, token, sum }, rank) => {
      const { tokens } = live[parent]!;
      const ended = endings.get(token);
      if (ended !== undefined) {
        if (rank < beams) finished.push({ tokens, score: score(sum, tokens.length + 1), ended });
      } else if (next.length < beams) next.push({ tokens: [...tokens, token], sum, parent });
    });
    finished = finished.sort((a, b) => b.score - a.score).slice(0, beams);
    live = next;
    // Sums only fall, so no live beam can score better than this. A single beam is greedy: the first end is final.
    const bound = Math.max(...live.map(({ sum }) => Math.max(score(sum, maxLength), score(sum, length + 2))));
    if (finished.length === beams && (beams === 1 || finished.at(-1)!.score >= bound)) live = [];
  }
  const ended: Ending = length < maxLength ? "interrupted" : maxLength < count ? "positions" : "count";
  const rest = live.map(({ tokens, sum }) => ({ tokens, score: score(sum, Math.max(tokens.length, 1)), ended }));
  return [...finished, ...rest].sort((a, b) => b.score - a.score).slice(0, beams);
}

type Continuation = { readonly parent: number; readonly token: number; readonly sum: number };

/** The `limit` most likely continuations of any of the beams. */
function continuations(
  live: readonly Beam[],
  logs: Float32Array,
  vocabulary: number,
  forbidden: ReadonlySet<number>,
  limit: number,
): Continuation[] {
  const all = live.flatMap(({ sum }, parent) =>
    Array.from({ length: vocabulary }, (_, token) => ({
      parent,
      token,
      sum: sum + logs[parent * vocabulary + token]!,
    })),
  );
  const possible = all.filter(({ sum, token }) => sum > Number.NEGATIVE_INFINITY && !forbidden.has(token));
  return possible.sort((a, b) => b.sum - a.sum || a.parent - b.parent || a.token - b.token).slice(0, limit);
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
  const natural = (name: string, value: number) => {
    if (!(Number.isInteger(value) && value >= 1))
      throw new RangeError(`decode: expected ${name} of 1 or more, got ${value}`);
  };
  natural("count", count);
  natural("beams", beams);
  checkTokens("start", [start], vocabularySize);
  for (const end of [...endTokens, ...stopTokens]) checkTokens("end", [end], vocabularySize);
  if (!Number.isFinite(lengthPenalty))
    throw new RangeError(`decode: expected a finite lengthPenalty, got ${lengthPenalty}`);
  return options;
}
