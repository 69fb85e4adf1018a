/** Child of the attention bench for reversible blocks: prints one JSON line, a ReversibleResult (../reversible.ts). */
import { writeFileSync } from "node:fs";
import { compile, flatten, isNdArray, mul, normal, randomKey, sum, type Tensor, valueAndGrad } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { evaluation } from "tsformers";
import { preNormBlock } from "tsformers/blocks";
import { patterns } from "tsformers/catalogue";
import { blockStack, reversibleBlock, reversible as reversibleDepth, sumOfStreams } from "tsformers/depth";
import { attention, makeView } from "tsformers/mixers";
import { geluTanh, layerNorm, mlp } from "tsformers/nn";
import { memoryBytes } from "../memory.ts";
import type { ReversibleJob, ReversibleResult } from "../reversible.ts";

const { reversible, layers, length, width, heads, window, threads } = JSON.parse(process.argv[2]!) as ReversibleJob;
const device = await openCpu({ threads });
const pattern = patterns.window.make({ before: window - 1 }, { length, causal: true, heads, layers })(0);
const parts = {
  modelWidth: width,
  norm: layerNorm(),
  mixer: attention({ modelWidth: width, heads }),
  ffn: mlp({ modelWidth: width, ffnWidth: 4 * width, activation: geluTanh }),
};
const each = <T>(block: T): T[] => new Array<T>(layers).fill(block);
const depth = reversible
  ? reversibleDepth(each(reversibleBlock(parts)), { merge: sumOfStreams })
  : blockStack(each(preNormBlock(parts)));
const params = depth.init(randomKey(0));
const parameterBytes = flatten(params, isNdArray).leaves.reduce((total, { size }) => total + 4 * size, 0);

type Given = { readonly params: Parameters<typeof depth.apply>[0]; readonly x: Tensor };
const loss = ({ params, x }: Given, weights: Tensor): Tensor => {
  const view = makeView({ pattern, queries: length, keys: length });
  const { x: y } = depth.apply(params, { x, view: () => view, state: {} }, evaluation);
  return sum(mul(y, weights));
};
const pass = compile(valueAndGrad(loss), { device });
const given = { params, x: normal(randomKey(1), [1, length, width]) } as never;
const weights = normal(randomKey(2), [1, length, width]);
globalThis.gc?.();
// Parameters lie in memory by now: they are not counted.
const baselineBytes = memoryBytes("VmRSS");
await pass.prepare(given, weights);
globalThis.gc?.();
writeFileSync("/proc/self/clear_refs", "5");
const programBytes = memoryBytes("VmRSS") - baselineBytes;
const start = performance.now();
const { value } = (await pass(given, weights)) as unknown as { value: { read(): Promise<{ item(): number }> } };
const result: ReversibleResult = {
  value: (await value.read()).item(),
  runMs: performance.now() - start,
  peakBytes: memoryBytes("VmHWM") - baselineBytes - parameterBytes,
  programBytes,
};
console.log(JSON.stringify(result));
await pass.release();
