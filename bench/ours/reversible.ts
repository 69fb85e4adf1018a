/** Child of the attention bench for reversible blocks: prints one JSON line, a ReversibleResult (../reversible.ts). */
import { writeFileSync } from "node:fs";
import {
  compile,
  flatten,
  isNdArray,
  mul,
  normal,
  randomKey,
  splitKey,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import {
  attention,
  evaluation,
  geluTanh,
  layerNorm,
  look,
  mlp,
  patterns,
  preNormBlock,
  reversibleBlock,
  runReversible,
  sumOfStreams,
} from "tsformers";
import { memoryBytes } from "../memory.ts";
import type { ReversibleJob, ReversibleResult } from "../reversible.ts";

const { reversible, layers, length, width, heads, window, threads } = JSON.parse(process.argv[2]!) as ReversibleJob;
const device = await openCpu({ threads });
const pattern = (await patterns.window.load({ before: window - 1 }, { length, causal: true, heads, layers }))(0);
const parts = {
  modelWidth: width,
  norm: layerNorm(),
  mixer: attention({ modelWidth: width, heads }),
  ffn: mlp({ modelWidth: width, ffnWidth: 4 * width, activation: geluTanh }),
};
const block = reversibleBlock(parts);
const plain = preNormBlock(parts);
const params = splitKey(randomKey(0), layers).map((key) => block.init(key));
const parameterBytes = flatten(params, isNdArray).leaves.reduce((total, { size }) => total + 4 * size, 0);

type Given = { readonly params: readonly unknown[]; readonly x: Tensor };
const loss = ({ params, x }: Given, weights: Tensor): Tensor => {
  const view = look({ pattern, queries: length, keys: length });
  const y = reversible
    ? runReversible(new Array(layers).fill(block), { blocks: params }, { x, view, merge: sumOfStreams }, evaluation).x
    : params.reduce((x: Tensor, own) => plain.apply(own as never, { x, view }, evaluation).y, x);
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
