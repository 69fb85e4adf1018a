import { Argument, Command, Option } from "commander";
import type { LanguageModel } from "../models/language-model.ts";
import {
  buildDatastore,
  exactSearch,
  findNeighbours,
  openDatastore,
  type ReadOptions,
  writeNeighbourTable,
} from "../retrieval/index.ts";
import { present } from "../schema/present.ts";
import type { Task } from "../tasks/task.ts";
import { parseCount } from "./config-flags.ts";
import { UsageError } from "./exit.ts";
import { paced } from "./paced.ts";
import { addReadingFlags, type ReadingFlags, withReading } from "./reading.ts";
import type { Terminal } from "./terminal.ts";

type StoreFlags = ReadingFlags & {
  readonly split: "train" | "valid" | "test";
  readonly limit?: number;
  readonly stride?: number;
  readonly nearest: number;
  readonly out?: string;
};

/** `tsformers store build RUN STORE`: what followed each context of a text; `store neighbours RUN STORE`: the nearest of them to each position. */
export function storeCommand(terminal: Terminal): Command {
  const command = new Command("store")
    .addArgument(new Argument("<action>", "what is done").choices(["build", "neighbours"]))
    .argument("<run>", "directory of the run or checkpoint whose states are the keys")
    .argument("<store>", "folder of the datastore; build makes it")
    .addOption(
      new Option("--split <name>", "which part of the data is stored")
        .choices(["train", "valid", "test"])
        .default("train"),
    )
    .option("--limit <n>", "tokens of the split that are stored; default: all", parseCount())
    .option(
      "--stride <n>",
      "tokens of each window that are stored; those before them are context. Default: all",
      parseCount(),
    )
    .option("--nearest <n>", "of neighbours: how many for each position", parseCount(), 4)
    .option("--out <file>", "of neighbours: the file that is written; train takes it as --neighbours");
  return addReadingFlags(command)
    .addHelpText(
      "after",
      `
build reads a text once and keeps, for each position, the state before the last feed-forward network and the token that followed. Nothing is trained,
and the text may be another one (kNN-LM). neighbours finds what followed the nearest contexts to each position of the run's text (SPALM).

Examples:
  tsformers store build runs/book stores/book
  tsformers store build runs/book stores/more --data more.txt --other-data
  tsformers eval runs/book --store stores/book
  tsformers store neighbours runs/book stores/book --out book.neighbours
  tsformers train runs/spalm --model spalm --task text --data book.txt --neighbours book.neighbours`,
    )
    .action(async (action: "build" | "neighbours", run: string, store: string, options: StoreFlags) => {
      if (action === "neighbours" && options.out === undefined)
        throw new UsageError("--out: neighbours are written to a file; say to which");
      await withReading(terminal, run, options, async ({ opened, task, model, device, signal, batchSize, length }) => {
        const { text } = requireText(task);
        const show = (what: string) => paced((line) => terminal.log(line), what);
        const reading: Omit<ReadOptions, "split" | "onProgress"> = {
          model: model as LanguageModel,
          params: opened.params,
          ...{ text, device, signal, batchSize, length },
          ...present({ stride: options.stride, limit: options.limit }),
        };
        if (action === "build") {
          const entries = await buildDatastore({
            ...reading,
            split: options.split,
            directory: store,
            onProgress: show(`${options.split} split`),
          });
          const outcome = { directory: store, run, split: options.split, entries };
          terminal.out(
            options.json ? JSON.stringify(outcome, null, 2) : `${store}: ${entries.toLocaleString("en-US")} entries`,
          );
          return;
        }
        const shows: Record<string, ReturnType<typeof paced>> = {};
        const held = await openDatastore(store);
        const search = exactSearch(held, { device });
        try {
          const table = await findNeighbours({
            ...reading,
            store: held,
            search,
            count: options.nearest,
            onProgress: (split, done, all) => {
              shows[split] ??= show(`${split} split`);
              shows[split](done, all);
            },
          });
          await writeNeighbourTable(options.out!, table);
        } finally {
          await search.release();
          await held.close();
        }
        const outcome = { file: options.out, run, store, nearest: options.nearest };
        terminal.out(
          options.json
            ? JSON.stringify(outcome, null, 2)
            : `${options.out}: ${options.nearest} neighbours for each token`,
        );
      });
    });
}

/** @throws UsageError for a task whose rows are not cut from a text */
export function requireText(task: Task): Required<Pick<Task, "text">> {
  const { text, name } = task;
  if (text === undefined) throw new UsageError(`a datastore is built from a text; the task ${name} has none`);
  return { text };
}
