// BERT: pre-trained on novels, it learns from few labelled passages which of them a passage is from. The plain model learns from the labels alone.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { MissingData, prove, type Trained } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/eltec_novels";
const { run } = systems.bert.presets.small;
/** Labelled passages of each novel. */
const passages = { train: 20, valid: 10, test: 100 } as const;
/** Where the parts of each novel end, in shares of it: nothing in the test was read in pre-training. */
const ends = { train: 0.85, valid: 0.9, test: 1 } as const;

/** Writes texts to pre-train on, `texts/train_NAME.txt`, and passages in a folder for each novel, `passages/train/NAME/7.txt`. */
function writeData(folder: string): { readonly texts: string; readonly labelled: string; readonly novels: number } {
  if (!existsSync(data)) throw new MissingData(`novels: expected ${data}`);
  const [texts, labelled] = [join(folder, "texts"), join(folder, "passages")];
  mkdirSync(texts, { recursive: true });
  const files = readdirSync(data).filter((file) => file.startsWith("train_"));
  for (const file of files) {
    const name = file.replace(/^train_|\.txt\.gz$/g, "");
    const novel = gunzipSync(readFileSync(join(data, file)))
      .toString()
      .replace(/\s+/g, " ");
    let start = 0;
    for (const split of ["train", "valid", "test"] as const) {
      const end = Math.floor(ends[split] * novel.length);
      const part = novel.slice(start, end);
      writeFileSync(join(texts, `${split}_${name}.txt`), part);
      const home = join(labelled, split, name);
      mkdirSync(home, { recursive: true });
      for (let i = 0; i < passages[split]; i++) {
        // From the first word behind a place.
        const place = part.indexOf(" ", Math.floor((i * part.length) / passages[split])) + 1;
        writeFileSync(join(home, `${i}.txt`), part.slice(place, place + 300));
      }
      start = end;
    }
  }
  return { texts, labelled, novels: files.length };
}

await prove("bert", async ({ run: trained, scored, folder, say }) => {
  const { texts, labelled, novels } = writeData(folder);
  const settings = { ...run, task: { ...run.task!, data: texts }, evalEvery: 400, evalTokens: 1024 };
  const pretrained = await trained("pre-trained", settings);
  // The same model and tokens, as they are before training.
  const untrained = await trained("untrained", { ...settings, steps: 1, learningRate: 1e-12 });
  const steps = 120;
  const accuracyOf = async (name: string, from: Trained): Promise<number> => {
    const reached: number[] = [];
    for (const learningRate of [5e-4, 2e-3]) {
      const task = { kind: "classify-text", data: labelled };
      const tuning = { from: from.directory, task, steps, batchSize: 16, learningRate, evalEvery: steps };
      const tuned = await trained(`${name}-${learningRate}`, tuning);
      const { totals } = await scored(tuned, { limit: passages.test * novels });
      reached.push(totals.correct! / totals.tokens);
    }
    say(`${name}: ${reached.map((share) => share.toFixed(3))}`);
    return Math.max(...reached);
  };
  const { totals } = await scored(pretrained, { limit: 8192 });
  const ours = await accuracyOf("tuned", pretrained);
  const plain = await accuracyOf("labels-alone", untrained);
  return resultOf({
    measure: `share of passages of which is told from which of ${novels} novels they are, ${passages.train} labelled passages of each`,
    better: "more",
    ours,
    plain,
    plainIs: `the same model, which learns from the labels alone, as many steps; the better of two learning rates of each`,
    target: plain + 0.1,
    size: `2 layers of 96, ${countParameters(pretrained.params)} parameters, ${run.steps} steps of ${run.batchSize} × ${run.length} tokens, then ${steps} of 16 passages`,
    paper: "BERT-Base: 79.6 on average on GLUE, 75.1 by GPT, which is pre-trained from left to right",
    figures: {
      "hidden tokens told rightly (whole words)": totals.correct! / totals.tokens,
      "next sentences told rightly": totals.exactRows! / totals.rows,
    },
  });
});
