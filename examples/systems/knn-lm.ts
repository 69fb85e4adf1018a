// kNN-LM: a trained model looks up what followed similar contexts, in its own text and in one it has never seen. Nothing is trained further.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createTask, type Task } from "tsformers";
import { systems } from "tsformers/catalogue";
import type { LanguageModel } from "tsformers/models";
import { buildDatastore, exactSearch, mixedLoss, openDatastore, scoreText, tuneMixture } from "tsformers/retrieval";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const plays = "../shared/data/tinyshakespeare/input.txt";
const novel = "../shared/data/eltec_novels/test_ENG19192_Woolf.txt.gz";
const { run } = systems["knn-lm"].presets.small;

await prove("knn-lm", async ({ run: trained, device, signal, folder, say }) => {
  for (const path of [plays, novel])
    if (!existsSync(path))
      throw new MissingData(`${path}: the plays of Shakespeare, or a novel by Woolf, are not there`);
  const { run: own, params } = await trained("model", { ...run, task: { ...run.task!, data: plays } });
  const { batchSize, length } = own.config;
  const reading = { model: own.model as LanguageModel, params, device, signal, batchSize, length };

  /** Perplexity of the model, and of its mixture with a datastore of a text, k and λ being the best on the validation split. */
  const perplexities = async (
    name: string,
    { text }: Task,
    limit?: number,
  ): Promise<[alone: number, mixed: number]> => {
    const directory = join(folder, name);
    const part = limit === undefined ? {} : { limit };
    if (!existsSync(directory)) await buildDatastore({ ...reading, text: text!, split: "train", directory, ...part });
    // Opened again from its folder.
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device });
    const score = (split: "valid" | "test", neighbourCounts: readonly number[]) =>
      scoreText({ ...reading, text: text!, split, store, search, neighbourCounts, limit: 3000 });
    const choice = tuneMixture(await score("valid", [8, 64, 512]));
    const scored = await score("test", [choice.neighbours]);
    await search.release();
    await store.close();
    const [alone, mixed] = [{ ...choice, lambda: 0 }, choice].map((one) => Math.exp(mixedLoss(scored, one)));
    const { entries } = store.record;
    say(`${name}, ${entries} entries: ${alone} → ${mixed} (k ${choice.neighbours}, λ ${choice.lambda})`);
    return [alone!, mixed!];
  };

  const [, small] = await perplexities("plays-small", own.task, 20_000);
  const [, middle] = await perplexities("plays-middle", own.task, 100_000);
  const [plain, large] = await perplexities("plays", own.task);
  const other = await createTask("text", { data: novel }, { tokenizer: own.task.tokenizer! });
  const [stranger, withNovel] = await perplexities("novel", other);
  if (!(large < middle && middle < small)) throw new Error(`more entries do not help: ${small}, ${middle}, ${large}`);
  if (!(withNovel < 0.75 * stranger)) throw new Error(`the novel does not help: ${stranger} → ${withNovel}`);
  return resultOf({
    measure: "perplexity, BPE tokens of Shakespeare's plays",
    better: "less",
    ours: large,
    plain,
    plainIs: "the same model without a datastore",
    target: 0.96 * plain,
    size: "2 layers of 64, 0.2M parameters, 400 steps of 16 × 64 tokens; k and λ tuned on the validation split",
    paper: "perplexity 18.65 → 16.12 on WikiText-103",
    figures: {
      "with 20,000 entries": small,
      "with 100,000 entries": middle,
      "on a novel that it was not trained on": stranger,
      "the same with a datastore of the novel": withNovel,
    },
  });
});
