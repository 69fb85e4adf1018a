import { integers, randomKey, foldIn, uniform } from "@tsformers/engine";
import { ndarray, mapTree, isNdArray, fromNumbers } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { compressiveTransformer, transformerXl } from "tsformers/models";
import { compressions } from "tsformers/memory";
import { tokenObjective } from "tsformers/objectives";
import { train, adamw, warmupCosine, evaluator } from "tsformers/train";
import { textTask } from "tsformers/tasks";
import { characterTokenizer } from "tsformers/tokenizers";
const o = { kind: "xl", seed: 0, layers: 2, width: 64, heads: 4, mem: 8, cm: 4, c: 4, T: 8, B: 64, steps: 500, lr: 3e-3, evalTokens: 20000, comp: "convolution", letters: 64, theme: 24, stretch: 400, count: 400000, ...JSON.parse(process.argv[2] ?? "{}") };
const names = Array.from({ length: o.names ?? 16 }, (_, i) => String.fromCodePoint(65 + i));
function themes(count) {
  const text = [];
  const length = 100000;
  const draw = (n, high) => integers(foldIn(randomKey(7), n), [length], { high }).toNumbers();
  const [filler, gaps, who, change] = [0,1,2,3].map((n) => draw(n, [o.fillers ?? 8, o.far - o.near + 1, names.length, o.change ?? 8][n]));
  let name = 0;
  for (let i = 0; text.length < count; i++) {
    if (change[i] === 0) name = who[i];
    const gap = o.near + gaps[i] - 1;
    for (let k = 0; k < gap; k++) text.push(String.fromCodePoint(97 + filler[(i * 61 + k) % length]));
    text.push(names[name]);
  }
  return text.join("");
}
const device = await openCpu({ threads: 2 });
const task = textTask({ text: themes(o.count), tokenizer: characterTokenizer, length: o.T });
const ids = new Set(names.map((n) => task.tokenizer.encode(n)[0]));
const onlyNames = (b) => { const w = Float32Array.from(b.weights.data, (x, i) => ids.has(b.targets.data[i]) ? x : 0); return { ...b, weights: ndarray(w, b.weights.shape) }; };
const base0 = task.views.segments;
const view = { ...base0, trainBatch: (...a) => onlyNames(base0.trainBatch(...a)), evalBatches: (...a) => { const all = base0.evalBatches(...a); return { *[Symbol.iterator]() { for (const b of all) yield onlyNames(b); } }; } };
const base = { vocabularySize: task.vocabularySize, layers: o.layers, modelWidth: o.width, heads: o.heads, ...(o.ffn && { ffnWidth: o.ffn }) };
const model = o.kind === "xl" ? transformerXl({ ...base, memoryLength: o.mem })
 : compressiveTransformer({ ...base, memoryLength: o.mem, compressedLength: o.cm, compressionRate: o.c, compression: compressions[o.comp] });
const t0 = performance.now();
const objective = tokenObjective(model, { segments: true });
const scale = o.scale ?? 1;
const params = mapTree(objective.init(foldIn(randomKey(o.seed), 0)), isNdArray, (a, path) => a.shape.length < 2 || /compression|loss/.test(path) ? a : fromNumbers(a.toNumbers().map((x) => x * scale), a.shape));
let last;
const res = await train({ objective, task, view, optimiser: adamw(), schedule: warmupCosine({ peak: o.lr, warmupSteps: Math.round(o.steps/10), totalSteps: o.steps }), steps: o.steps, batchSize: o.B, length: o.T, device, seed: o.seed, params, clipNorm: o.clip ?? 1, evalTokens: o.evalTokens, onEvent: (e) => { if (e.kind === "step") { last = e; if (e.step % 50 === 0) console.error(o.kind, e.step, e.loss.toFixed(3), JSON.stringify(e.losses), Math.round(e.tokensPerSecond)); } } });
const tt = res.evaluation.totals;
console.log(JSON.stringify({ ...o, valid: tt.lossSum / tt.tokens, acc: tt.correct / tt.tokens, n: tt.tokens, secs: Math.round((performance.now() - t0) / 1000), losses: last.losses, tps: Math.round(res.tokensPerSecond) }));
await device.close();
