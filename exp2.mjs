import { integers, randomKey, foldIn, uniform } from "@tsformers/engine";
import { mapTree, isNdArray, fromNumbers } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { compressiveTransformer, transformerXl } from "tsformers/models";
import { compressions } from "tsformers/memory";
import { tokenObjective } from "tsformers/objectives";
import { train, adamw, warmupCosine, evaluator } from "tsformers/train";
import { textTask } from "tsformers/tasks";
import { characterTokenizer } from "tsformers/tokenizers";
const o = { kind: "xl", seed: 0, layers: 2, width: 64, heads: 4, mem: 8, cm: 4, c: 4, T: 8, B: 64, steps: 500, lr: 3e-3, evalTokens: 20000, comp: "convolution", letters: 64, theme: 24, stretch: 400, count: 400000, ...JSON.parse(process.argv[2] ?? "{}") };
function themes(count) {
  const alphabet = Array.from({ length: o.letters }, (_, i) => String.fromCodePoint(0x100 + i));
  const text = [];
  for (let s = 0; s * o.stretch < count; s++) {
    const key = foldIn(randomKey(7), s);
    const order = uniform(foldIn(key, 0), [o.letters]).toNumbers();
    const own = alphabet.map((x, i) => [order[i], x]).sort((a, b) => a[0] - b[0]).slice(0, o.theme).map(([, x]) => x);
    for (const i of integers(foldIn(key, 1), [o.stretch], { high: o.theme }).toNumbers()) text.push(own[i]);
  }
  return text.join("");
}
const device = await openCpu({ threads: 2 });
const task = textTask({ text: themes(o.count), tokenizer: characterTokenizer, length: o.T });
const base = { vocabularySize: task.vocabularySize, layers: o.layers, modelWidth: o.width, heads: o.heads, ...(o.ffn && { ffnWidth: o.ffn }) };
const model = o.kind === "xl" ? transformerXl({ ...base, memoryLength: o.mem })
 : compressiveTransformer({ ...base, memoryLength: o.mem, compressedLength: o.cm, compressionRate: o.c, compression: compressions[o.comp] });
const t0 = performance.now();
const objective = tokenObjective(model, { segments: true });
const scale = o.scale ?? 1;
const params = mapTree(objective.init(foldIn(randomKey(o.seed), 0)), isNdArray, (a, path) => a.shape.length < 2 || /compression|loss/.test(path) ? a : fromNumbers(a.toNumbers().map((x) => x * scale), a.shape));
let last;
const res = await train({ objective, task, view: task.views.segments, optimiser: adamw(), schedule: warmupCosine({ peak: o.lr, warmupSteps: Math.round(o.steps/10), totalSteps: o.steps }), steps: o.steps, batchSize: o.B, length: o.T, device, seed: o.seed, params, clipNorm: o.clip ?? 1, evalTokens: o.evalTokens, onEvent: (e) => { if (e.kind === "step") { last = e; if (e.step % 50 === 0) console.error(o.kind, e.step, e.loss.toFixed(3), JSON.stringify(e.losses), Math.round(e.tokensPerSecond)); } } });
const tt = res.evaluation.totals;
console.log(JSON.stringify({ ...o, valid: tt.lossSum / tt.tokens, bits: tt.lossSum / Math.LN2 / tt.tokens, n: tt.tokens, secs: Math.round((performance.now() - t0) / 1000), losses: last.losses, tps: Math.round(res.tokensPerSecond) }));
await device.close();
