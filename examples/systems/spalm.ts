// SPALM: a Transformer-XL that learns when to trust the tokens that followed similar contexts; a trained Transformer-XL finds them beforehand.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systems } from "tsformers/catalogue";
import type { LanguageModel } from "tsformers/models";
import { buildDatastore, exactSearch, findNeighbours, openDatastore, writeNeighbourTable } from "tsformers/retrieval";
import { MissingData, prove, type Trained } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const plays = "../shared/data/tinyshakespeare/input.txt";
const { run } = systems.spalm.presets.small;

await prove("spalm", async ({ run: trained, scores, device, signal, folder }) => {
  if (!existsSync(plays)) throw new MissingData(`${plays}: the plays of Shakespeare are not there`);
  // The last plays alone: each position is compared with every other one.
  const data = join(folder, "plays.txt");
  mkdirSync(folder, { recursive: true });
  writeFileSync(data, readFileSync(plays, "utf8").slice(-150_000));
  const task = { ...run.task!, data };
  const perplexity = async (of: Trained): Promise<number> => {
    const [score] = await scores(of, { split: "test" });
    if (score === undefined || !("loss" in score)) throw new Error(score?.missing);
    return Math.exp(score.loss);
  };

  // The plain model is at the same time the one that finds neighbours.
  const plain = await trained("plain", { ...run, task, model: { ...run.model, kind: "transformer-xl" } });
  const neighbours = join(folder, "plays.neighbours");
  if (!existsSync(neighbours)) {
    const { model, config } = plain.run;
    const { batchSize, length } = config;
    const text = plain.run.task.text!;
    const reading = { model: model as LanguageModel, params: plain.params, text, device, signal, batchSize, length };
    const directory = join(folder, "store");
    if (!existsSync(directory)) await buildDatastore({ ...reading, split: "train", directory });
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device });
    await writeNeighbourTable(neighbours, await findNeighbours({ ...reading, store, search }));
    await search.release();
    await store.close();
  }
  const ours = await trained("ours", { ...run, task: { ...task, neighbours } });
  const [without, withNeighbours] = [await perplexity(plain), await perplexity(ours)];
  return resultOf({
    measure: "perplexity, BPE tokens of Shakespeare's plays",
    better: "less",
    ours: withNeighbours,
    plain: without,
    plainIs: "a Transformer-XL, which has 64 parameters fewer: the gate's",
    target: 0.98 * without,
    size: "2 layers of 64, 0.2M parameters, memory of 32, 500 steps of 16 × 32 tokens, 4 neighbours, 150 kB of text",
    paper: "its tables are for WikiText-103, WMT and enwik8",
  });
});
