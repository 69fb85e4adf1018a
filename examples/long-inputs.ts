// Longer inputs, three ways: all pairs, a window with a global token, and linear attention, whose past is a state of fixed size.
import assert from "node:assert/strict";
import { openDevice } from "@tsformers/engine/node";
import {
  adamw,
  constantRate,
  createTask,
  type GptOptions,
  generate,
  gpt,
  openDecoder,
  tokenObjective,
  train,
} from "tsformers";
import { mixers } from "tsformers/catalogue";
import {
  attentionFlops,
  causal,
  countPattern,
  globalTokens,
  receptiveFields,
  slidingWindow,
  union,
} from "tsformers/patterns";

const sizes = { layers: 2, modelWidth: 32, heads: 4, length: 64 };
const near = union(slidingWindow({ before: 7, after: 0 }), globalTokens({ positions: [0], causal: true }));
const linear = mixers.linear.make({}, { ...sizes, causal: true });

// What a pattern costs is counted, not estimated.
const [some, all] = [countPattern(near, sizes.length), countPattern(causal, sizes.length)];
const heads = { heads: sizes.heads, headWidth: sizes.modelWidth / sizes.heads };
console.log(`window: ${some.pairs} pairs of ${all.pairs}, ${attentionFlops(some, heads)} operations`);
assert(some.density < 0.25 && all.density > 0.5);
const [, two] = receptiveFields(() => near, { length: sizes.length, layers: 2 });
assert.equal(two!.last, 15 + 1, "two layers of a window of 8 see 15 positions, and the global one");

const task = await createTask("text", { length: sizes.length });
const device = await openDevice("cpu");

async function trained(name: string, options: Partial<GptOptions<unknown>>) {
  const model = gpt({ ...sizes, vocabularySize: task.vocabularySize, ...options });
  const { params, evaluation } = await train({
    objective: tokenObjective(model),
    task,
    view: task.views.next!,
    optimiser: adamw(),
    schedule: constantRate(5e-3),
    steps: 60,
    batchSize: 8,
    length: sizes.length,
    evalTokens: 2048,
    device,
  });
  const loss = evaluation!.totals.lossSum / evaluation!.totals.tokens;
  console.log(`${name.padEnd(24)} valid loss ${loss.toFixed(3)}`);
  assert(loss < 0.9 * Math.log(task.vocabularySize), `${name}: expected it to learn something`);
  return { model, params };
}

await trained("all pairs", {});
await trained("window and global token", { pattern: near });
const { model, params } = await trained("linear", { mixer: () => linear });

// Decoding keeps sums instead of keys and values: the same memory however long the text.
// It ends where the model's learned positions end; a scheme such as rotary has no end.
const decoder = openDecoder(model, params, { device, maxLength: 1000 });
const written: number[] = [];
for await (const token of generate(decoder, [1], { count: 100, temperature: 0 })) written.push(token);
assert.equal(written.length, sizes.length);
await decoder.release();
await device.close();
