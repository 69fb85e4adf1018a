import { NDArray } from "@tsformers/engine";
import { present } from "../schema/present.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import { maskedView } from "./masked.ts";
import { accuracy, classLoss, loss, type Metric, tokenAccuracy } from "./metric.ts";
import { type LabelledRow, labelledForm } from "./row-forms.ts";
import { type RowSource, rowsView } from "./rows.ts";
import type { Batch, LabelledBatch, Task, TaskView, TaskViews } from "./task.ts";

export type LabelledTask = Task<Required<Pick<TaskViews, "labelled" | "next" | "masked">>>;

/** Default of the rows scored in an evaluation. */
export const usualRows = 512;

/**
 * A task of rows with a class each. Token 0 is padding.
 *
 * Besides the classes it offers the rows themselves, to be predicted token by token or filled in: what models are pre-trained on before they learn
 * the classes.
 *
 * @param options.limit default of the rows scored in an evaluation. Default: 512
 * @param options.start see {@link tokenViews}
 * @param options.tokenMetrics see {@link tokenViews}
 */
export function labelledTask(options: {
  readonly name: string;
  readonly vocabularySize: number;
  readonly classes: number;
  readonly length: number;
  readonly fingerprint: string;
  readonly seed: number;
  readonly source: RowSource<LabelledRow>;
  readonly limit?: number;
  readonly symbolOf?: (token: number) => string;
  readonly tokenizer?: Tokenizer;
  readonly columns?: number;
  readonly classNames?: readonly string[];
  readonly start?: number;
  readonly tokenMetrics?: readonly Metric[];
}): LabelledTask {
  const { source, seed, classes, classNames, start, tokenMetrics, limit = usualRows, ...about } = options;
  const view = rowsView({ ...about, source, limit, form: labelledForm });
  return {
    ...about,
    metrics: [classLoss, accuracy],
    usualView: "labelled",
    views: {
      labelled: { ...view, classes, ...(classNames !== undefined && { classNames }) },
      ...tokenViews(view, { ...about, seed, limit, ...present({ start, metrics: tokenMetrics }) }),
    },
  };
}

/**
 * The rows of a view, to be predicted token by token or filled in.
 *
 * @param options.start the token before the first one, which is then predicted as well. Default: rows begin with their first token, which is not
 *   predicted
 * @param options.metrics how the loss of tokens is reported. Default: loss and token accuracy
 */
export function tokenViews(
  view: TaskView<LabelledBatch>,
  options: {
    readonly vocabularySize: number;
    readonly seed: number;
    readonly limit: number;
    readonly start?: number;
    readonly metrics?: readonly Metric[];
  },
): Required<Pick<TaskViews, "next" | "masked">> {
  const { vocabularySize, seed, limit, start, metrics = [loss, tokenAccuracy] } = options;
  const next = start === undefined ? followingTokens : tokensBehind(start);
  return {
    next: { ...mapView(view, next, limit), metrics },
    masked: { ...maskedView(mapView(view, ownTokens, limit), { vocabularySize, seed }), metrics },
  };
}

/** The same rows in another form. Limits of the new form count tokens, those of the old one rows. */
function mapView(
  view: TaskView<LabelledBatch>,
  form: (batch: LabelledBatch) => Batch,
  usualRows: number,
): TaskView<Batch> {
  return {
    trainBatch: (...place) => form(view.trainBatch(...place)),
    evalBatches: (split, { limit, ...options }) => {
      const rows = limit === undefined ? usualRows : Math.ceil(limit / options.length);
      const batches = view.evalBatches(split, { ...options, limit: rows });
      return {
        *[Symbol.iterator]() {
          for (const batch of batches) yield form(batch);
        },
      };
    },
  };
}

/** Every token is predicted from those before it. */
function followingTokens({ inputs, mask }: LabelledBatch): Batch {
  return { inputs, targets: moved(inputs), weights: moved(mask) };
}

/** Every token is predicted from those before it, the first one from a start token. */
function tokensBehind(start: number): (batch: LabelledBatch) => Batch {
  return ({ inputs, mask }) => {
    const [rows, length] = inputs.shape as [number, number];
    const tokens = inputs.data as Int32Array;
    const before = Int32Array.from(tokens, (_, i) => (i % length === 0 ? start : tokens[i - 1]!));
    return { inputs: new NDArray([rows, length], "int32", before), targets: inputs, weights: mask };
  };
}

function ownTokens({ inputs, mask }: LabelledBatch): Batch {
  return { inputs, targets: inputs, weights: mask };
}

/** Each row one position to the left, with a 0 at its end. */
function moved(array: NDArray): NDArray {
  const [rows, length] = array.shape as [number, number];
  const data = (array.data as Int32Array | Float32Array).slice();
  for (let row = 0; row < rows; row++) {
    data.copyWithin(row * length, row * length + 1, (row + 1) * length);
    data[(row + 1) * length - 1] = 0;
  }
  return new NDArray(array.shape, array.dtype, data);
}
