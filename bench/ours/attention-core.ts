/** Our side of the attention-core bench: prints one JSON line, an AttentionCoreResult (../attention-core.ts). */
import { compile, mul, normal, randomKey, sum, type Tensor, valueAndGrad } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { evaluation } from "tsformers";
import { patterns } from "tsformers/catalogue";
import { attend, makeView } from "tsformers/mixers";
import type { AttentionCoreJob, AttentionCoreResult } from "../attention-core.ts";

const { length, heads, headWidth, causal, backward, repeats, threads } = JSON.parse(
  process.argv[2]!,
) as AttentionCoreJob;
const device = await openCpu({ threads });
const pattern = patterns.full.make({}, { length, causal, heads, layers: 1 })(0);
type Given = { readonly q: Tensor; readonly key: Tensor; readonly value: Tensor };
const loss = ({ q, key, value }: Given, weights: Tensor): Tensor => {
  const view = makeView({ pattern, queries: length, keys: length });
  return sum(mul(attend(q, { key, value }, { view, scale: headWidth ** -0.5, context: evaluation }).mixed, weights));
};
const value = (given: Given, weights: Tensor) => ({ value: loss(given, weights) });
const pass = backward ? compile(valueAndGrad(loss), { device }) : compile(value, { device });
const [q, key, values, weights] = [0, 1, 2, 3].map((seed) => normal(randomKey(seed), [1, heads, length, headWidth]));
const given = { q, key, value: values } as never;
const runMs: number[] = [];
let found = Number.NaN;
for (let i = 0; i < repeats + 1; i++) {
  const start = performance.now();
  found = (await (await pass(given, weights as never)).value.read()).item();
  runMs.push(performance.now() - start);
  globalThis.gc?.();
}
// The first one traces and warms up.
const result: AttentionCoreResult = { runMs: runMs.slice(1), value: found };
console.log(JSON.stringify(result));
await pass.release();
