/** Child of the long-decode bench: prints one JSON line, a LongDecodeResult (../long-decode.ts). */
import {
  compile,
  type DeviceArray,
  flatten,
  fromNumbers,
  isDeviceArray,
  isNdArray,
  type NDArray,
  normal,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { gpt, openDecoder } from "tsformers";
import { entryOf, mixers, patterns } from "tsformers/catalogue";
import { capacityFor } from "tsformers/generate";
import type { Recurrent } from "tsformers/kinds";
import { attention, type MixerEntry, makeView, ringDecoding } from "tsformers/mixers";
import { causal, type PatternEntry, reachOf } from "tsformers/patterns";
import { median } from "../bench.ts";
import type { LongDecodeJob, LongDecodeResult } from "../long-decode.ts";

const job = JSON.parse(process.argv[2]!) as LongDecodeJob;
const device = await openCpu({ threads: job.threads });

/** Reads one position after the other. */
type Reading = {
  next(position: number): Promise<void>;
  /** Of what is kept when so many positions were read. */
  stateBytes(length: number): Promise<number>;
};

/** A mixer on its own. */
async function openMixer({ name, settings, tokens, width, heads }: LongDecodeJob): Promise<Reading> {
  const sizes = { modelWidth: width, heads };
  const softmax = attention(sizes);
  const isWindow = name === "window";
  const context = { ...sizes, length: tokens, causal: true };
  const mixer = isWindow ? softmax : entryOf<MixerEntry>(mixers, name).make(settings, context);
  const ring = isWindow ? ringDecoding(softmax, settings as { window: number }) : mixer.recurrent!;
  const { start, step } = ring as unknown as Recurrent<never, unknown>;
  const params = mixer.init(randomKey(0));
  const advance = compile(
    (params: never, x: Tensor, state: unknown, position: Tensor) => {
      const view = makeView({ pattern: causal, queries: 1, keys: tokens, offset: position });
      return step(params, x, state, { position, view });
    },
    { device },
  ) as unknown as (...args: unknown[]) => Promise<{ y: DeviceArray; state: unknown }>;
  const x = normal(randomKey(1), [1, 1, width]);
  let state: unknown = start(1, tokens);
  return {
    next: async (position) => {
      const out = await advance(params, x, state, fromNumbers([position], [], "int32"));
      state = out.state;
      await out.y.read();
    },
    stateBytes: async (length) => {
      if (length === 0) return bytesOf(flatten(state, isNdArray).leaves);
      return bytesOf(await Promise.all(flatten(state, isDeviceArray).leaves.map((array) => array.read())));
    },
  };
}

/** A model whose one layer sees by a pattern. */
async function openModel({ pattern, settings, tokens, width, heads }: LongDecodeJob): Promise<Reading> {
  const layers = entryOf<PatternEntry>(patterns, pattern!).make(settings, {
    length: tokens,
    causal: true,
    heads,
    layers: 1,
  });
  const sizes = { vocabularySize: 256, layers: 1, modelWidth: width, heads, length: tokens };
  const model = gpt({ ...sizes, scheme: {}, pattern: layers });
  const decoder = openDecoder(model, model.init(randomKey(0)), { device, maxLength: tokens });
  const { window, pinned } = reachOf(layers(0), tokens);
  return {
    next: async (position) => void (await decoder.read([position % 256])),
    stateBytes: async (length) => 2 * 4 * width * (pinned.length + Math.min(window + 1, capacityFor(length + 1))),
  };
}

function bytesOf(arrays: readonly NDArray[]): number {
  return arrays.reduce((total, { data }) => total + data.byteLength, 0);
}

const reading = await (job.pattern === undefined ? openMixer(job) : openModel(job));
const startBytes = await reading.stateBytes(0);
const times: number[] = [];
for (let t = 0; t < job.tokens; t++) {
  const began = performance.now();
  await reading.next(t);
  times.push(performance.now() - began);
}
const result: LongDecodeResult = {
  earlyMs: median(times.slice(1000, 2000)),
  lateMs: median(times.slice(-1000)),
  startBytes,
  endBytes: await reading.stateBytes(job.tokens - 1),
};
console.log(JSON.stringify(result));
