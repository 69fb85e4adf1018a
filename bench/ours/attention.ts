/** Our side of the attention bench: prints one JSON line, an AttentionResult (../attention.ts). */
import { writeFileSync } from "node:fs";
import { compile, flatten, isNdArray, mul, normal, randomKey, sum, type Tensor, valueAndGrad } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { evaluation } from "tsformers";
import { entryOf, mixers, patterns } from "tsformers/catalogue";
import { attention, type MixerEntry, makeView } from "tsformers/mixers";
import { fullPattern, type PatternEntry } from "tsformers/patterns";
import { programFlops } from "tsformers/train";
import type { AttentionJob, AttentionResult } from "../attention.ts";
import { notAvailableCode } from "../child.ts";
import { memoryBytes } from "../memory.ts";

const {
  kind,
  entry: name,
  settings,
  causal,
  length,
  width,
  heads,
  threads,
  budgetMs,
  most,
} = JSON.parse(process.argv[2]!) as AttentionJob;
const catalogue: Readonly<Record<string, { readonly exponent: number }>> = kind === "pattern" ? patterns : mixers;
if (!Object.hasOwn(catalogue, name)) process.exit(notAvailableCode);
const device = await openCpu({ threads });
const baselineBytes = memoryBytes("VmRSS");

const about = { length, causal, heads };
const softmax = attention({ modelWidth: width, heads });
const pattern =
  kind === "pattern" ? entryOf<PatternEntry>(patterns, name).make(settings, { ...about, layers: 1 })(0) : fullPattern;
const mixer =
  kind === "pattern" ? softmax : entryOf<MixerEntry>(mixers, name).make(settings, { ...about, modelWidth: width });
const params = mixer.init(randomKey(0)) as never;

type Given = { readonly params: never; readonly x: Tensor };
const loss = ({ params, x }: Given, weights: Tensor): Tensor => {
  const view = makeView({ pattern, queries: length, keys: length });
  return sum(mul(mixer.apply(params, { x, view }, evaluation).y, weights));
};
const pass = compile(valueAndGrad(loss), { device });
const shape = [1, length, width];
const given = { params, x: normal(randomKey(1), shape) };
const weights = normal(randomKey(2), shape);

await pass.prepare(given as never, weights);
// From here on the peak is that of running alone.
const preparedPeakBytes = memoryBytes("VmHWM");
globalThis.gc?.();
writeFileSync("/proc/self/clear_refs", "5");

const runMs: number[] = [];
let value = Number.NaN;
let spent = 0;
while (runMs.length < most + 1 && (runMs.length < 2 || spent < budgetMs)) {
  const start = performance.now();
  const result = (await pass(given as never, weights)) as unknown as { value: { read(): Promise<{ item(): number }> } };
  value = (await result.value.read()).item();
  const took = performance.now() - start;
  runMs.push(took);
  spent += took;
  // Gradients of the last pass lie in buffers that nobody holds any more.
  globalThis.gc?.();
}
const runPeakBytes = memoryBytes("VmHWM");
const parameters = flatten(params, isNdArray).leaves.reduce((total, { size }) => total + size, 0);
const forward = compile((given: Given, weights: Tensor) => ({ value: loss(given, weights) }), { device });
const result: AttentionResult = {
  // The first one warms up.
  runMs: runMs.slice(1),
  peakBytes: Math.max(preparedPeakBytes, runPeakBytes) - baselineBytes,
  runPeakBytes: runPeakBytes - baselineBytes,
  exponent: catalogue[name]!.exponent,
  parameters,
  forwardGflop: programFlops(forward.trace(given as never, weights as never)) * 1e-9,
  value,
};
console.log(JSON.stringify(result));
await pass.release();
