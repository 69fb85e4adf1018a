// Train in a run's folder, open it again as any program (and every command) can, look at its logits and let it write.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDevice } from "@tsformers/engine/node";
import { logitsOf, openGenerator, openModel, trainRun } from "tsformers/node";

const directory = join(mkdtempSync(join(tmpdir(), "tsformers-example-")), "run");
const device = await openDevice("cpu");

// The same settings as the flags of `tsformers train`; what is left out has the same defaults.
const { result } = await trainRun(
  {
    task: { kind: "text" },
    model: { kind: "gpt", layers: 1, modelWidth: 32, heads: 2, position: { kind: "rotary" } },
    length: 32,
    batchSize: 8,
    steps: 60,
    learningRate: 5e-3,
  },
  { directory, device },
);
assert.equal(result.ended, "finished");

// A folder opens without its data: settings, tokenizer and parameters are all in it.
const opened = await openModel(directory);
const prompt = opened.tokenizer!.encode("Ada and ");
const logits = await logitsOf(opened, prompt, device);
console.log(`logits [${logits.shape}]`);
assert.deepEqual(logits.shape, [1, prompt.length, opened.model.vocabularySize]);

const generator = await openGenerator(directory, device);
let text = "";
for await (const piece of generator.text("Ada and ", { count: 40, temperature: 0.7, seed: 1 })) text += piece;
console.log(JSON.stringify(text));
assert.equal(text.length, 40);

await generator.release();
await device.close();
rmSync(join(directory, ".."), { recursive: true });
