// kNN-LM (Khandelwal et al. 2020): a trained model looks up what followed similar contexts. Nothing is trained further.
//
//   node --conditions=source examples/systems/knn-lm.ts [folder]
//
// Stopped at any moment and started again, it goes on and ends with the same bytes.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openCpu } from "@tsformers/engine/node";
import { adamw, createTask, gpt, type Task, train, tokenObjective, warmupCosine } from "tsformers";
import type { LanguageModel } from "tsformers/models";
import { buildDatastore, exactSearch, mixedLoss, openDatastore, scoreText, tuneMixture } from "tsformers/retrieval";

const folder = process.argv[2] ?? "runs/knn-lm";
const shakespeare = "../shared/data/tinyshakespeare/input.txt";
const novel = "../shared/data/eltec_novels/test_ENG19192_Woolf.txt.gz";
for (const path of [shakespeare, novel])
  if (!existsSync(path)) {
    console.log(`${path} is missing: this example reads Shakespeare's plays and a novel by Woolf`);
    process.exit(2);
  }

// A model of 1,000 kinds of token learns the plays.
const length = 64;
const task = await createTask("text", { data: shakespeare, tokens: "bpe", vocabulary: 1000, length });
const model = gpt({ vocabularySize: task.vocabularySize, length, layers: 2, modelWidth: 64, heads: 4, initializerRange: 0.05 });
const device = await openCpu();
const { params } = await train({
  objective: tokenObjective(model),
  task,
  view: task.views.next!,
  optimiser: adamw(),
  schedule: warmupCosine({ peak: 4e-3, warmup: 30, steps: 400 }),
  steps: 400,
  batchSize: 16,
  length,
  device,
  directory: join(folder, "model"),
  checkpointEvery: 50,
  onEvent: (event) => {
    if (event.kind === "step" && event.step % 100 === 0) console.log(`step ${event.step}: loss ${event.loss.toFixed(3)}`);
  },
});

// Datastores of growing parts of the plays it has learned, and of a novel that it has never seen.
const reading = { model: model as LanguageModel, params, device, batchSize: 16, length };
async function perplexities(name: string, { text }: Task, limit?: number): Promise<{ alone: number; mixed: number }> {
  const directory = join(folder, name);
  const part = limit === undefined ? {} : { limit };
  if (!existsSync(directory)) await buildDatastore({ ...reading, text: text!, split: "train", directory, ...part });
  const store = await openDatastore(directory);
  const search = exactSearch(store, { device });
  const score = (split: "valid" | "test", neighbourCounts: readonly number[]) =>
    scoreText({ ...reading, text: text!, split, store, search, neighbourCounts, limit: 4096 });
  const choice = tuneMixture(await score("valid", [16, 64, 256]));
  const scored = await score("test", [choice.neighbours]);
  await search.release();
  await store.close();
  const [alone, mixed] = [{ ...choice, lambda: 0 }, choice].map((one) => Math.exp(mixedLoss(scored, one))) as [number, number];
  const { entries } = store.record;
  console.log(
    `${name}: ${entries} entries, ${choice.neighbours} neighbours, λ ${choice.lambda}: perplexity ${alone.toFixed(2)} → ${mixed.toFixed(2)}`,
  );
  return { alone, mixed };
}
const small = await perplexities("plays-sixteenth", task, 25_000);
const middle = await perplexities("plays-quarter", task, 100_000);
const large = await perplexities("plays", task);
const other = await perplexities("novel", await createTask("text", { data: novel, length }, { tokenizer: task.tokenizer! }));
await device.close();
console.log("the paper's model of WikiText-103: 18.65 → 16.12");
