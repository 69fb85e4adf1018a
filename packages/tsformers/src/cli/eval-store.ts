import type { Device } from "@tsformers/engine";
import { renderTable, shortLabel } from "../compare/text/table.ts";
import type { LanguageModel } from "../models/language-model.ts";
import {
  approximateSearch,
  exactSearch,
  type MixtureChoice,
  mixedLoss,
  type NeighbourSearch,
  openDatastore,
  recallOf,
  type ScoredText,
  scoreText,
  tuneMixture,
} from "../retrieval/index.ts";
import type { OpenedModel } from "../run/open-model.ts";
import { present } from "../schema/present.ts";
import type { EvalSplit, Task } from "../tasks/task.ts";
import { figuresOf, figureText } from "./eval.ts";
import { paced } from "./paced.ts";
import { requireText } from "./store.ts";
import type { Terminal } from "./terminal.ts";

/** Numbers of neighbours that are tried on the validation split, as far as there are entries. */
const triedCounts: readonly number[] = [1, 4, 16, 64, 256, 1024];

export type StoreEvaluation = {
  readonly opened: OpenedModel;
  readonly task: Task;
  readonly model: LanguageModel;
  readonly device: Device;
  readonly signal: AbortSignal;
  readonly batchSize: number;
  readonly length: number;
  readonly stride?: number;
  readonly limit?: number;
  /** Folder of the datastore. */
  readonly store: string;
  readonly split: EvalSplit;
  readonly nearest?: number;
  readonly lambda?: number;
  /** Searches by a graph instead of comparing every entry. */
  readonly approximate?: true;
  readonly json?: true;
};

/** Queries by which the recall of an approximate search is measured. */
const sampledQueries = 64;

/** Prints the loss of a model and of its mixture with a datastore; what is not said of the mixture is tuned on the validation split. */
export async function evaluateWithStore(terminal: Terminal, options: StoreEvaluation): Promise<void> {
  const { opened, task, split, nearest, lambda, model, device, signal, batchSize, length } = options;
  const { text } = requireText(task);
  const store = await openDatastore(options.store);
  const exact = exactSearch(store, { device });
  const { entries, width } = store.record;
  let recall: number | undefined;
  const approximate = async (): Promise<NeighbourSearch> => {
    const graph = await approximateSearch(store, { onProgress: paced((line) => terminal.log(line), "graph") });
    return {
      ...graph,
      search: async (queries, k) => {
        const found = await graph.search(queries, k);
        recall ??= recallOf(found, await exact.search(queries.subarray(0, sampledQueries * width), k));
        return found;
      },
    };
  };
  let search = exact;
  const score = (of: EvalSplit, neighbourCounts: readonly number[]): Promise<ScoredText> =>
    scoreText({
      ...{ model, device, signal, batchSize, length, params: opened.params, text, split: of, store, search },
      neighbourCounts,
      onProgress: paced((line) => terminal.log(line), `${of} split`),
      ...present({ stride: options.stride, limit: options.limit }),
    });
  try {
    if (options.approximate) search = await approximate();
    const tried = nearest === undefined ? triedCounts.filter((count) => count <= entries) : [nearest];
    const isTuned = nearest === undefined || lambda === undefined;
    const valid = isTuned ? await score("valid", tried) : undefined;
    const choice: MixtureChoice =
      valid === undefined
        ? { lambda: lambda!, neighbours: nearest! }
        : tuneMixture(valid, lambda === undefined ? undefined : [lambda]);
    const scored = split === "valid" && valid !== undefined ? valid : await score(split, [choice.neighbours]);
    const tokens = scored.model.length;
    const figuresAt = (mixture: MixtureChoice) =>
      figuresOf(task, { lossSum: mixedLoss(scored, mixture) * tokens, tokens, rows: tokens });
    const [alone, mixed] = [figuresAt({ ...choice, lambda: 0 }), figuresAt(choice)];
    if (options.json) {
      const about = {
        entries,
        nearest: choice.neighbours,
        lambda: choice.lambda,
        tunedOnValid: isTuned,
        ...present({ recall }),
      };
      const outcome = { directory: opened.directory, split, store: store.directory, ...about, alone, mixed };
      return terminal.out(JSON.stringify(outcome, null, 2));
    }
    const row = (name: string, figures: Record<string, number>) => [
      name,
      ...task.metrics.map((metric) => figureText(figures[metric.name]!)),
    ];
    const table = {
      title: `${opened.directory}, ${split} split, ${tokens.toLocaleString("en-US")} tokens`,
      header: ["", ...task.metrics.map(({ label }) => shortLabel(label))],
      rows: [row("model alone", alone), row("with the datastore", mixed)],
    };
    terminal.out(renderTable(table, terminal.columns, terminal.bold));
    const tuned = isTuned ? ", the best on the validation split" : "";
    const mixture = `${choice.neighbours} neighbours, share ${choice.lambda}${tuned}`;
    const found = recall === undefined ? "" : `; the search finds ${(100 * recall).toFixed(1)} % of the nearest`;
    terminal.out(terminal.dim(`${entries.toLocaleString("en-US")} entries, ${mixture}${found}`));
  } finally {
    await exact.release();
    await store.close();
  }
}
