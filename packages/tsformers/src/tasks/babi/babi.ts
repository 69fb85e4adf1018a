import * as z from "zod";
import type { DataText } from "../../io/data-texts.ts";
import { FileError } from "../../io/file-error.ts";
import { count } from "../../schema/count.ts";
import { dataOption, requireData } from "../data-option.ts";
import { fingerprintOf } from "../fingerprint.ts";
import { labelledTask } from "../labelled.ts";
import { exactAccuracy, loss } from "../metric.ts";
import { causalRow, pairsForm } from "../row-forms.ts";
import { rowsView, storedRows } from "../rows.ts";
import { mapSplits, type Splits, shuffled } from "../splits.ts";
import { everything } from "../stored-pairs.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { distinct, vocabularyOf } from "../vocabulary.ts";
import { type Question, readStories } from "./stories.ts";

const defaults = { length: 128 };

/** Padding, and the beginning of a written answer. */
const start = 0;
const end = 1;

/**
 * bAbI: answer a question about a story of simple sentences. As `labelled` rows the answer is a class, among all answers of the data; as `pairs` it
 * is written word by word, which tells lists apart (`n,w` is one class, or two words).
 *
 * A row is the story and then the question. Of a story that does not fit, the earliest sentences are left away.
 * Tokens: 0 padding and the start of an answer, 1 its end, then the words in alphabetical order.
 *
 * @source Weston et al. 2015, "Towards AI-Complete Question Answering: A Set of Prerequisite Toy Tasks", arXiv:1502.05698
 * @differs answers are learned without the supporting sentences, as in the paper's weakly supervised runs; a list counts as one class
 */
export function babiTask(options: {
  readonly questions: Splits<readonly Question[]>;
  /** Default: 128. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
}): Task<Required<Pick<TaskViews, "labelled" | "next" | "masked" | "pairs">>> {
  const { questions, length = defaults.length, seed = 0 } = options;
  const all = [...questions.train, ...questions.valid, ...questions.test];
  const answers = distinct(all.map(({ answer }) => answer));
  const words = distinct(
    all.flatMap(({ story, question, answer }) => [...story.flat(), ...question, ...partsOf(answer)]),
  );
  const vocabulary = vocabularyOf(["|", "<end>", ...words]);
  const splits = mapSplits(questions, (split) => shuffled(split));
  const rows = <R>(row: (tokens: readonly number[], answer: string) => R) =>
    storedRows({
      seed,
      splits,
      row: (one, rowLength) => row(vocabulary.encode(lastWords(one, rowLength)), one.answer),
    });
  const labelled = labelledTask({
    name: "babi",
    vocabularySize: vocabulary.size,
    classes: answers.length,
    classNames: answers,
    length,
    seed,
    limit: all.length,
    symbolOf: vocabulary.symbolOf,
    fingerprint: `babi ${fingerprintOf(questions)} seed=${seed}`,
    source: rows((tokens, answer) => ({ tokens, label: answers.indexOf(answer) })),
  });
  return {
    ...labelled,
    endToken: end,
    // An answer is one class, or several words that all have to be right.
    metrics: [{ ...loss, label: "loss (nats)" }, exactAccuracy],
    views: {
      ...labelled.views,
      pairs: rowsView({
        name: "babi",
        length,
        limit: everything,
        form: pairsForm,
        source: rows((source, answer) => ({
          source,
          ...causalRow([start, ...vocabulary.encode(partsOf(answer)), end], () => true),
        })),
      }),
    },
  };
}

/** The words of a list. */
function partsOf(answer: string): string[] {
  return answer.split(/[\s,]+/);
}

/** The question, and before it as many of the last sentences as fit. @throws RangeError when the question does not fit */
export function lastWords({ story, question }: Question, length: number): string[] {
  if (question.length > length)
    throw new RangeError(`babi: a question of ${question.length} words does not fit a length of ${length}`);
  let [first, room] = [story.length, length - question.length];
  while (first > 0 && story[first - 1]!.length <= room) room -= story[--first]!.length;
  return [...story.slice(first).flat(), ...question];
}

/**
 * The questions of a folder of bAbI. Training and test are as the files have them; the last tenth of training, from the beginning of a story
 * on, is for validation.
 *
 * @param which the number of a task. Default: all that are there
 * @throws FileError when a file is missing, there twice, or malformed
 */
export function readBabi(path: string, files: readonly DataText[], which?: number): Splits<Question[]> {
  const splits: Splits<Question[]> = { train: [], valid: [], test: [] };
  const known = files.flatMap((file) => {
    const [, number, part] = file.name.match(babiFile) ?? [];
    return number === undefined ? [] : [{ ...file, number: Number(number), part }];
  });
  const numbers = [...new Set(known.map(({ number }) => number))].sort((a, b) => a - b);
  const wanted = which === undefined ? numbers : numbers.filter((number) => number === which);
  if (wanted.length === 0) {
    const has = numbers.length === 0 ? "" : `; it has tasks ${numbers.join(", ")}`;
    throw new FileError(path, `expected files like qa${which ?? 1}_NAME_train.txt in it${has}`);
  }
  for (const number of wanted) {
    const stories = (part: string): Question[][] => {
      const [file, other] = known.filter((one) => one.number === number && one.part === part);
      if (file === undefined) throw new FileError(path, `expected a file like qa${number}_NAME_${part}.txt in it`);
      if (other !== undefined)
        throw new FileError(
          path,
          `has ${file.name} and ${other.name}; give the folder of one of them, such as its folder en`,
        );
      return readStories(file.text, file.path);
    };
    const train = stories("train");
    const total = train.flat().length;
    let seen = 0;
    for (const story of train) {
      splits[seen < 0.9 * total ? "train" : "valid"].push(...story);
      seen += story.length;
    }
    splits.test.push(...stories("test").flat());
  }
  for (const [split, questions] of Object.entries(splits))
    if (questions.length === 0) throw new FileError(path, `has no questions for ${split}`);
  return splits;
}

const babiFile = /(?:^|[/_])qa(\d+)_[^/]*_(train|test)\.txt$/;

export type BabiSettings = {
  readonly data?: string;
  readonly qa?: number;
  readonly length?: number;
  readonly seed?: number;
};

export const babiEntry: TaskEntry<"babi", BabiSettings> = /* @__PURE__ */ taskEntry({
  name: "babi",
  title: "bAbI",
  category: "data",
  summary: "answer questions about stories of simple sentences (bAbI, 20 tasks)",
  options: () =>
    z.strictObject({
      data: dataOption("a folder with files like qa1_single-supporting-fact_train.txt, or an archive of it"),
      qa: count(20, "bAbI has 20 tasks")
        .optional()
        .describe("the number of one task, 1 as in qa1. Default: all of them as one"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: async ({ data, qa: which, ...rest }, { note = console.warn }) => {
    const path = requireData(
      "babi",
      data,
      "a folder with files like qa1_single-supporting-fact_train.txt, or of an archive of it",
    );
    const { readDataTexts } = await import("#files");
    const questions = readBabi(
      path,
      readDataTexts(path, (name) => babiFile.test(name)),
      which,
    );
    const task = babiTask({ questions, ...rest });
    const all = Object.values(questions).flat();
    const sizeOf = ({ story, question }: Question): number => story.flat().length + question.length;
    const cut = all.filter((one) => sizeOf(one) > task.length).length;
    if (cut > 0)
      note(
        `${path}: ${cut} of ${all.length} stories are longer than ${task.length} words; their earliest sentences are left away (the longest has ${all.reduce((most, one) => Math.max(most, sizeOf(one)), 0)})`,
      );
    return task;
  },
});
