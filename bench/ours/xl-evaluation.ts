/** Child of the xl-evaluation bench: prints one JSON line, an XlEvaluationResult (../xl-evaluation.ts). */
import { compile, type DeviceArray, integers, randomKey, slice, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { evaluation, tokenObjective } from "tsformers";
import { type DecoderParams, transformerXl } from "tsformers/models";
import type { XlEvaluationJob, XlEvaluationResult } from "../xl-evaluation.ts";

const { attention, segment, vocabulary, layers, width, heads, threads, segments, windows } = JSON.parse(
  process.argv[2]!,
) as XlEvaluationJob;
const device = await openCpu({ threads });
// Every query sees `attention` positions, in the memory and before it in its segment.
const model = transformerXl({
  vocabularySize: vocabulary,
  layers,
  modelWidth: width,
  heads,
  memoryLength: attention,
  sameLength: true,
});
const params = model.init(randomKey(0));
const tokensOf = (seed: number, length: number) => integers(randomKey(seed), [1, length], { high: vocabulary });

async function timed(run: () => Promise<DeviceArray>): Promise<number> {
  const began = performance.now();
  await (await run()).read();
  return performance.now() - began;
}

/** The first run is not counted: it prepares the program. */
async function timesOf(count: number, run: (index: number) => Promise<DeviceArray>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i <= count; i++) times.push(await timed(() => run(i)));
  return times.slice(1);
}

const read = compile(
  (params: DecoderParams, tokens: Tensor, memories: readonly unknown[]) => {
    const { logits, state } = model.apply(params, { tokens, segment: { layers: memories } }, evaluation);
    return { logits, memories: state.segment! };
  },
  { device },
) as unknown as (...args: unknown[]) => Promise<{ logits: DeviceArray; memories: readonly unknown[] }>;
let memories: readonly unknown[] = tokenObjective(model, { segments: true }).startMemories!(1);
const segmentMs = await timesOf(segments, async (index) => {
  const out = await read(params, tokensOf(index, segment), memories);
  memories = out.memories;
  return out.logits;
});

// A window predicts one token, so that only its last position needs logits.
const predict = compile(
  (params: DecoderParams, tokens: Tensor) => {
    const { x, toLogits } = model.apply(params, { tokens }, evaluation);
    return toLogits!(slice(x, 1, -1));
  },
  { device },
) as unknown as (...args: unknown[]) => Promise<DeviceArray>;
const windowMs = await timesOf(windows, (index) => predict(params, tokensOf(index, attention)));

const result: XlEvaluationResult = { segmentMs, windowMs };
console.log(JSON.stringify(result));
