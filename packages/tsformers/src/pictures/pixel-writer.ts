import {
  type Concrete,
  compile,
  type DeviceArray,
  fromNumbers,
  keyToArray,
  putTree,
  reshape,
  type Tensor,
} from "@tsformers/engine";
import { startDecoding } from "../depth/states.ts";
import { type GivenSlots, givenStep, keptOf, ringSize, slotCount, stepSlots } from "../generate/decode-slots.ts";
import { evaluation } from "../kinds/layer.ts";
import type { TokenBody } from "../models/language-model.ts";
import type { Likelihood } from "./likelihood.ts";
import type { PictureModel, PictureWriter, WriterOptions } from "./picture-model.ts";
import type { PixelEmbedding, PixelInput, PixelSequenceParams } from "./pixel-sequence.ts";

/** A causal body, and how it reads and tells pixels. */
export type PixelReader<Params> = Pick<PictureModel, "steps"> & {
  readonly body: TokenBody<Params>;
  readonly likelihood: Likelihood<unknown>;
  readonly embed: PixelEmbedding;
  readonly input?: PixelInput<unknown> | undefined;
};

/**
 * Writes with the decode states of the body's layers, so that each step reads only the values of the step before.
 *
 * @throws TypeError when a layer cannot go on position by position
 */
export function openPixelWriter<Params>(
  { body, likelihood, steps, embed, input }: PixelReader<Params>,
  params: Concrete<PixelSequenceParams<Params>>,
  { device, count, temperature = 1, small = [] }: WriterOptions,
): PictureWriter {
  const length = steps.length;
  const kept = keptOf(body.patterns, length);
  const kinds = [...new Set(kept)];
  const start = () =>
    startDecoding(body.layers, {
      batch: count,
      capacity: length,
      slots: kept.map((own) => slotCount(own, length)),
      training: (params as { trainingState?: Record<string, unknown> }).trainingState,
    });
  const advance = compile(
    (
      own: PixelSequenceParams<Params>,
      layers: readonly unknown[],
      { before, position, key }: { readonly before: Tensor; readonly position: Tensor; readonly key: Tensor },
      given: readonly GivenSlots<Tensor>[],
      read: unknown,
    ) => {
      const seen = kinds.map((one, kind) => stepSlots(one, ringSize(one, length), position, given[kind]!));
      const slots = kept.map((one) => seen[kinds.indexOf(one)]!);
      const vectors = embed(own.pixels, before, reshape(position, [1]));
      const reading = input === undefined ? body : (input.bodyOver(read) as TokenBody<Params>);
      const out = reading.apply(own, { vectors, decode: { layers, position, capacity: length, slots } }, evaluation);
      const features = reshape(out.x, [count, body.width]);
      return { values: likelihood.draw(own.likelihood, features, key, temperature), layers: out.state.decode! };
    },
    // What layers keep alternates between two sets of buffers.
    { device, donate: [1] },
  ) as unknown as Advance;
  const held = putTree(params, device);
  const read = input === undefined ? [] : readOnce(input, params, small, { device, count });
  const dimensions = steps.length * likelihood.values;
  let layers: readonly unknown[] = [];
  let next = 0;
  return {
    draw: async (step, pictures, key) => {
      if (step === 0) [layers, next] = [putTree(start(), device) as readonly unknown[], 0];
      if (step !== next) throw new RangeError(`draw: expected step 0 or ${next}, got ${step}`);
      const places = steps[Math.max(0, step - 1)]!;
      const before = Array.from({ length: count }, (_, b) => places.map((place) => pictures[b * dimensions + place]!));
      const at = {
        before: fromNumbers(before.flat(), [count, 1, places.length], "int32"),
        position: fromNumbers([step], [], "int32"),
        key: keyToArray(key),
      };
      const given = kinds.map((own) => givenStep(own, ringSize(own, length), step));
      const out = await advance(held, layers, at, given, await read);
      [layers, next] = [out.layers, step + 1];
      return Int32Array.from((await out.values.read()).data as Int32Array);
    },
    release: () => advance.release(),
  };
}

/** What the body looks at of each small picture, kept on the device. */
async function readOnce<Params>(
  input: PixelInput<unknown>,
  params: Concrete<PixelSequenceParams<Params>>,
  small: ArrayLike<number>,
  { device, count }: Pick<WriterOptions, "device" | "count">,
): Promise<unknown> {
  const { rows, columns, channels } = input.shape;
  const pass = compile((own: never, given: Tensor) => input.read(own, given, evaluation), { device }) as unknown as ((
    ...args: unknown[]
  ) => Promise<unknown>) & { release(): Promise<void> };
  try {
    return await pass(params, fromNumbers(Array.from(small), [count, rows, columns, channels], "int32"));
  } finally {
    await pass.release();
  }
}

type Advance = ((...args: unknown[]) => Promise<{ values: DeviceArray; layers: readonly unknown[] }>) & {
  release(): Promise<void>;
};
