import { compile, mul, normal, randomKey, readTree, sum, type Tensor, valueAndGrad } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { test } from "vitest";
import { attention } from "../src/attention/attention.ts";
import { balancedMembers, nearestMembers, routing } from "../src/attention/routing.ts";
import { sinkhorn } from "../src/attention/sinkhorn.ts";
import { causal, full } from "../src/attention/pattern.ts";
import { look } from "../src/attention/view.ts";
import { evaluation } from "../src/nn/layer.ts";

const profile = process.env["PROFILE"];
const device = await openCpu({ threads: 1, ...(profile ? { profilePrefix: profile } : {}) });
const n = Number(process.env["N"] ?? 4096);
const only = process.env["ONLY"];
const root = Math.round(Math.sqrt(n));
const base = { modelWidth: 256, heads: 4 };
const r = { ...base, centroids: root, window: Math.ceil(n / root) };
const sides = {
  "full causal": [attention(base), true],
  "full": [attention(base), false],
  "balanced": [routing({ ...r, causal: false }), false],
  "balanced causal": [routing({ ...r, causal: true, members: balancedMembers }), true],
  "sinkhorn 64": [sinkhorn({ ...base, causal: false, block: 64, length: n }), false],
  "sinkhorn 128": [sinkhorn({ ...base, causal: false, block: 128, length: n }), false],
  "sinkhorn causal 64": [sinkhorn({ ...base, causal: true, block: 64, length: n }), true],
  "sinkhorn causal 128": [sinkhorn({ ...base, causal: true, block: 128, length: n }), true],
  "nearest": [routing({ ...r, causal: true, members: nearestMembers }), true],
} as const;
test("speed", async () => {
  const x = normal(randomKey(1), [1, n, 256]);
  const R = normal(randomKey(2), [1, n, 256]);
  for (const [name, [mixer, isCausal]] of Object.entries(sides)) {
    if (only && !new RegExp(only).test(name)) continue;
    const params = mixer.init(randomKey(3));
    const fn = (p: never, x: Tensor, R: Tensor, carried: unknown) => valueAndGrad((q: { p: never; x: Tensor }) => {
      const view = look({ pattern: isCausal ? causal : full, queries: n, keys: n });
      const out = mixer.apply(q.p, { x: q.x, view, carried }, evaluation);
      return sum(mul(out.y, R));
    })({ p, x });
    const c = compile(fn as never, { device }) as unknown as ((...a: unknown[]) => Promise<unknown>) & { release(): Promise<void> };
    const all: number[] = [];
    for (let i = 0; i < (profile ? 3 : n > 8000 ? 4 : 7); i++) { const t = process.cpuUsage(); await readTree(await c(params, x, R)); const u = process.cpuUsage(t); all.push((u.user + u.system) / 1000); }
    await c.release();
    console.log(`${n} ${name}`.padEnd(30), Math.min(...all).toFixed(1), all.map((t) => t.toFixed(0)).join(" "));
  }
}, 300000);
