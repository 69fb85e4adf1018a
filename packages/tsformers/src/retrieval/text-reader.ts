import {
  type Compiled,
  type Concrete,
  compile,
  type Device,
  type Given,
  type NDArray,
  neg,
  type OnDevice,
  putTree,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { startSegments } from "../depth/states.ts";
import { evaluation } from "../kinds/layer.ts";
import { ffnInputOf, type LanguageModel } from "../models/language-model.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { present } from "../schema/present.ts";
import type { TextSource } from "../tasks/task.ts";
import { type TextReading, textBatches } from "./text-batches.ts";

/** Whether a model reads a text in segments that go on where those before ended. */
export function continues(model: LanguageModel): boolean {
  return startSegments(model.layers, 1) !== undefined;
}

/** What a model makes of positions that follow one another. */
export type ReadStretch = {
  /** Number of the first of them, and where it stands in the split, as in a `Stretch`. */
  readonly entry: number;
  readonly place: number;
  /** What goes into the last feed-forward network, [n, C]. */
  readonly keys: Float32Array;
  /** The tokens that follow, [n]. */
  readonly targets: Int32Array;
  /** The logarithm of the probability of each, [n], where it was asked for. */
  readonly logProbabilities?: Float32Array;
};

type Traced = { readonly keys: Tensor; readonly logProbabilities?: Tensor; readonly memories: readonly unknown[] };

/** How a text is read by a model. */
export type ReadOptions = Omit<TextReading, "continues"> & {
  readonly model: LanguageModel;
  readonly params: unknown;
  readonly text: TextSource;
  readonly device: Device;
  /** Whether the probabilities of targets are computed. Default: no. */
  readonly predicts?: boolean;
  /** Called after each batch. */
  readonly onProgress?: (batch: number, batches: number) => void;
  /** Stops between batches. */
  readonly signal?: AbortSignal;
};

/**
 * A text read once by a model: the state of each position at the input of the last feed-forward network, and what follows.
 *
 * @throws TypeError for a model that does not look back only, or does not tell what goes into its last feed-forward network
 */
export function readText(options: ReadOptions): {
  readonly entries: number;
  [Symbol.asyncIterator](): AsyncGenerator<ReadStretch>;
} {
  const { model, params, text, device, predicts = false, onProgress, signal, ...reading } = options;
  if (!model.causal)
    throw new TypeError("retrieval: expected a model that predicts the next token, this one looks ahead");
  const batches = textBatches(text, { ...reading, continues: continues(model) });
  const { batchSize, length } = reading;
  type Inputs = { readonly inputs: Tensor; readonly targets: Tensor; readonly fresh?: Tensor };
  const pass = (own: unknown, { inputs, targets, fresh }: Inputs, memories: readonly unknown[] | null): Traced => {
    const segment = memories === null ? {} : { segment: { layers: memories, ...present({ fresh }) } };
    const out = model.apply(own, { tokens: inputs, ...segment }, evaluation);
    return {
      keys: ffnInputOf(out),
      ...(predicts && { logProbabilities: neg(crossEntropies(out.logits, targets)) }),
      memories: out.state.segment ?? [],
    };
  };
  return {
    entries: batches.entries,
    async *[Symbol.asyncIterator]() {
      const run = compile(pass, { device }) as unknown as Compiled<[unknown, Inputs, unknown], Traced>;
      const placed = putTree(params as Concrete<unknown>, device);
      let memories = (startSegments(model.layers, batchSize) ?? null) as unknown;
      let done = 0;
      try {
        for (const { stretches, ...batch } of batches) {
          signal?.throwIfAborted();
          const out = (await run(placed as never, batch as Given<Inputs>, memories as never)) as OnDevice<Traced>;
          const { keys, logProbabilities } = (await readTree({
            keys: out.keys,
            ...present({ logProbabilities: out.logProbabilities }),
          } as never)) as { keys: NDArray; logProbabilities?: NDArray };
          if (memories !== null) memories = out.memories;
          const width = keys.shape[2]!;
          for (const { row, column, count, entry, place } of stretches) {
            const at = row * length + column;
            yield {
              entry,
              place,
              keys: (keys.data as Float32Array).subarray(at * width, (at + count) * width),
              targets: (batch.targets.data as Int32Array).subarray(at, at + count),
              ...(logProbabilities !== undefined && {
                logProbabilities: (logProbabilities.data as Float32Array).subarray(at, at + count),
              }),
            };
          }
          onProgress?.(++done, batches.batches);
        }
      } finally {
        await run.release();
      }
    },
  };
}
