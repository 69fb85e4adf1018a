// Train a small GPT on text, watch its loss fall, and let it write.
import assert from "node:assert/strict";
import { openDevice } from "@tsformers/engine/node";
import {
  adamw,
  byteTokenizer,
  characterTokenizer,
  generateText,
  gpt,
  grammarText,
  openDecoder,
  textTask,
  tokenObjective,
  train,
  warmupCosine,
} from "tsformers";
import { positions } from "tsformers/catalogue";

// Any text will do; this one is made on the spot.
const task = textTask({ text: grammarText({ characters: 60_000 }), tokenizer: characterTokenizer, length: 64 });

// A model is a value: sizes, and a position scheme from the catalogue.
const sizes = { layers: 2, modelWidth: 64, heads: 4 };
const scheme = positions.rotary.make({}, { ...sizes, length: 64 });
const model = gpt({ ...sizes, vocabularySize: task.vocabularySize, length: 64, scheme });

const device = await openDevice("cpu");
const steps = 150;
const { params, evaluation } = await train({
  objective: tokenObjective(model),
  task,
  view: task.views.next,
  optimiser: adamw(),
  schedule: warmupCosine({ peak: 4e-3, warmupSteps: 10, totalSteps: steps }),
  steps,
  batchSize: 8,
  length: 64,
  evalEvery: 50,
  evalTokens: 2048,
  clipNorm: 1,
  device,
  // With a `directory` the run keeps checkpoints there and, called again, goes on.
  onEvent: (event) => {
    if (event.kind === "evaluation") console.log(`step ${event.step}: valid loss ${event.loss.toFixed(3)}`);
  },
});

const { lossSum, tokens } = evaluation!.totals;
const loss = lossSum / tokens;
// Guessing costs ln(vocabulary) ≈ 3.8 nats; knowing how often each letter comes, about 2.9.
assert(loss < 2, `expected a loss below 2 nats per character, got ${loss}`);

const decoder = openDecoder(model, params, { device, maxLength: 200 });
let text = "Ada and Ben lost";
for await (const piece of generateText(decoder, task.tokenizer!, text, {
  count: 100,
  temperature: 0.7,
  seed: 1,
})) {
  text += piece;
}
console.log(text);
assert(text.length > 60 && text.includes(" "));
// Bytes instead of characters would be `tokenizer: byteTokenizer`.
assert.equal(byteTokenizer().vocabularySize, 256);

await decoder.release();
await device.close();
