import { foldIn, randomKey, integers, ndarray, mapTree, isNdArray, fromNumbers } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { compressiveTransformer, transformerXl } from "tsformers/models";
import { compressions } from "tsformers/memory";
import { tokenObjective } from "tsformers/objectives";
import { train, adamw, warmupCosine, evaluator } from "tsformers/train";
const o = { kind: "xl", seed: 0, layers: 2, width: 64, heads: 4, mem: 24, cm: 16, c: 4, T: 8, B: 64, steps: 200, lr: 2e-3, names: 16, fillers: 8, period: 80, comp: "convolution", near: 56, far: 72, ...JSON.parse(process.argv[2] ?? "{}") };
const V = o.names + o.fillers;
function batchOf(key, step, B, T, keep) {
  const [inputs, targets, weights] = [new Int32Array(B * T), new Int32Array(B * T), new Float32Array(B * T)];
  const fresh = new Float32Array(B).fill(step === 1 ? 1 : 0);
  const filler = integers(foldIn(foldIn(key, 0), step), [B * T], { high: o.fillers }).toNumbers();
  const phase = integers(foldIn(key, 1), [B], { high: o.period }).toNumbers();
  const nameOf = new Map();
  const names = (k) => { if (!nameOf.has(k)) nameOf.set(k, integers(foldIn(foldIn(key, 2), k), [B], { high: o.names }).toNumbers()); return nameOf.get(k); };
  for (let b = 0; b < B; b++) for (let t = 0; t < T; t++) {
    const at = (step - 1) * T + t + phase[b];
    const k = Math.floor(at / o.period), since = at % o.period;
    inputs[b * T + t] = since === 0 ? o.fillers + names(k)[b] : filler[b * T + t];
    targets[b * T + t] = o.fillers + names(k)[b];
    weights[b * T + t] = keep(since) && (k > 0) ? 1 : 0;
  }
  return { inputs: ndarray(inputs, [B, T]), targets: ndarray(targets, [B, T]), weights: ndarray(weights, [B, T]), fresh: ndarray(fresh, [B]) };
}
const evalBatches = (keep) => ({ *[Symbol.iterator]() { for (let s = 1; s <= 60; s++) yield batchOf(randomKey(99), s, o.B, o.T, keep); } });
const view = { trainBatch: (step, B, T) => batchOf(randomKey(7), step, B, T, () => true), evalBatches: () => evalBatches((d) => d >= o.near && d <= o.far) };
const device = await openCpu({ threads: 2 });
const base = { vocabularySize: V, layers: o.layers, modelWidth: o.width, heads: o.heads, ...(o.ffn && { ffnWidth: o.ffn }) };
const model = o.kind === "xl" ? transformerXl({ ...base, memoryLength: o.mem })
 : compressiveTransformer({ ...base, memoryLength: o.mem, compressedLength: o.cm, compressionRate: o.c, compression: compressions[o.comp] });
const t0 = performance.now();
const objective = tokenObjective(model, { segments: true });
let last;
const res = await train({ objective, task: { fingerprint: "x" }, view, optimiser: adamw(), schedule: warmupCosine({ peak: o.lr, warmupSteps: Math.round(o.steps/10), totalSteps: o.steps }), steps: o.steps, batchSize: o.B, length: o.T, device, seed: o.seed, clipNorm: o.clip ?? 1, onEvent: (e) => { if (e.kind === "step") { last = e; if (e.step % 50 === 0) console.error(o.kind, e.step, e.loss.toFixed(3), JSON.stringify(e.losses), Math.round(e.tokensPerSecond)); } } });
const sc = evaluator(objective, device);
const acc = [];
for (const [a, b] of [[0, 7], [8, 23], [24, 39], [40, 55], [56, 63], [64, 72], [73, 79]]) { const tt = await sc.evaluate(res.params, evalBatches((d) => d >= a && d <= b)); acc.push([a, b, +(tt.correct / tt.tokens).toFixed(3)]); }
console.log(JSON.stringify({ ...o, acc, secs: Math.round((performance.now() - t0) / 1000), losses: last.losses, tps: Math.round(res.tokensPerSecond) }));
await device.close();
