/** Child of the long-decode bench: prints one JSON line, a LongDecodeResult (../long-decode.ts). */
import {
  compile,
  type DeviceArray,
  flatten,
  fromNumbers,
  isNdArray,
  type NDArray,
  normal,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { attention, causal, look, type MixerName, mixers, type Recurrent, ringDecoding } from "tsformers";
import { median } from "../bench.ts";
import type { LongDecodeJob, LongDecodeResult } from "../long-decode.ts";

const { name, settings, tokens, width, heads, threads } = JSON.parse(process.argv[2]!) as LongDecodeJob;
const device = await openCpu({ threads });
const sizes = { modelWidth: width, heads };
const softmax = attention(sizes);
const isWindow = name === "window";
const context = { ...sizes, length: tokens, causal: true };
const mixer = isWindow ? softmax : await mixers[name as MixerName].load(settings, context);
const ring = isWindow ? ringDecoding(softmax, settings as { window: number }) : mixer.recurrent!;
const { start, step } = ring as unknown as Recurrent<never, unknown>;
const params = mixer.init(randomKey(0));
const advance = compile(
  (params: never, x: Tensor, state: unknown, position: Tensor) => {
    const view = look({ pattern: causal, queries: 1, keys: tokens, offset: position });
    return step(params, x, state, { position, view });
  },
  { device },
) as unknown as (...args: unknown[]) => Promise<{ y: DeviceArray; state: unknown }>;

const x = normal(randomKey(1), [1, 1, width]);
let state: unknown = start(1, tokens);
const bytesOf = (arrays: readonly NDArray[]) => arrays.reduce((total, { data }) => total + data.byteLength, 0);
const startBytes = bytesOf(flatten(state, isNdArray).leaves);
const times: number[] = [];
for (let t = 0; t < tokens; t++) {
  const began = performance.now();
  const out = await advance(params, x, state, fromNumbers([t], [], "int32"));
  state = out.state;
  await out.y.read();
  times.push(performance.now() - began);
}
const kept = flatten(state, (leaf): leaf is DeviceArray => typeof leaf === "object" && leaf !== null && "read" in leaf);
const arrays = await Promise.all(kept.leaves.map((array) => array.read()));
const result: LongDecodeResult = {
  earlyMs: median(times.slice(1000, 2000)),
  lateMs: median(times.slice(-1000)),
  startBytes,
  endBytes: bytesOf(arrays),
};
console.log(JSON.stringify(result));
