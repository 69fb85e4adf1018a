import { readFileSync } from "node:fs";
import {
  compile,
  flatten,
  fromNumbers,
  isNdArray,
  mul,
  normal,
  randomKey,
  readTree,
  sum,
  type Tensor,
  unflatten,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { test } from "vitest";
import { attend } from "../../src/attention/executor.ts";
import { causal, full } from "../../src/attention/pattern.ts";
import { look } from "../../src/attention/view.ts";
import { adaptiveSpan } from "../../src/position/adaptive-span.ts";
import { alibi } from "../../src/position/alibi.ts";
import { distanceAware } from "../../src/position/distance-aware.ts";
import { shaw } from "../../src/position/shaw.ts";
import { causalBuckets, t5Bias } from "../../src/position/t5-bias.ts";
import { transformerXl } from "../../src/position/transformer-xl.ts";

const heads = 4;
const D = 64;
const n = Number(process.env.N ?? 4096);
const pattern = process.env.PATTERN === "full" ? full : causal;
const all: Record<string, any> = {
  none: undefined,
  alibi: alibi(heads),
  t5: t5Bias(heads, causalBuckets({}), {}),
  shaw: shaw({ headWidth: D, maxDistance: 16 }),
  shawKeys: shaw({ headWidth: D, maxDistance: 16, values: false }),
  shawAll: shaw({ headWidth: D, maxDistance: n - 1 }),
  xl: transformerXl({ layers: 1, modelWidth: 256, heads, bidirectional: pattern === full }),
  da: distanceAware(heads),
  span: adaptiveSpan({ heads, maxSpan: n, startShare: 0.5 }),
};
const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;
const names = (process.env.WHICH ?? "none,alibi,t5,shawKeys,shaw,xl,da,span").split(",");
test("bench", async () => {
  const device = await openCpu();
  const rows: string[] = [];
  const runs: [string, () => Promise<void>][] = [];
  for (const name of names) {
    const scheme = all[name];
    const tree = scheme?.init(randomKey(1)) ?? {};
    const { leaves, structure } = flatten(tree, isNdArray);
    const [q, k, v, r] = [1, 2, 3, 4].map((s) => normal(randomKey(s), [1, heads, n, D]));
    const fn = (x: any, r: Tensor) =>
      valueAndGrad(([q, key, value, own]: any) => {
        const params = unflatten(structure, own) as any;
        const layer = scheme?.forLayer?.(params, 0, { queries: n, keys: n }) ?? params;
        const view = look({
          pattern,
          queries: n,
          keys: n,
          ...(scheme && { scores: (at: any) => scheme.prepare(layer, at) }),
        });
        return sum(mul(attend(q, { key, value }, { view, scale: 1 / 8, context: {} }).mixed, r));
      })(x).gradient;
    const run = compile(fn as any, { device }) as any;
    const once = async () => {
      const out = await run([q, k, v, leaves], r);
      for (const leaf of flatten(out, (x: any): x is any => x?.read !== undefined).leaves) leaf.release?.();
    };
    const before = peak();
    await once();
    rows.push(`${name} first; VmHWM ${before.toFixed(0)} → ${peak().toFixed(0)} MB`);
    runs.push([name, once]);
  }
  const best = new Map<string, number>();
  for (let i = 0; i < Number(process.env.ROUNDS ?? 3); i++)
    for (const [name, once] of runs) {
      const t = performance.now();
      await once();
      const ms = performance.now() - t;
      best.set(name, Math.min(best.get(name) ?? 1e9, ms));
    }
  for (const [name, ms] of best) rows.push(`${name} ${ms.toFixed(0)} ms  ×${(ms / best.get(names[0]!)!).toFixed(2)}`);
  console.log(rows.join("\n"));
}, 600000);
