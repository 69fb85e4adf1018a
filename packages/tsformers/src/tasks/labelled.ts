import { NDArray } from "@tsformers/engine";
import { maskedView } from "./masked.ts";
import { accuracy, classLoss } from "./metric.ts";
import { type LabelledRow, labelledForm } from "./row-forms.ts";
import { type RowSource, rowsView } from "./rows.ts";
import type { Batch, LabelledBatch, Task, TaskView, TaskViews } from "./task.ts";

export type LabelledTask = Task<Required<Pick<TaskViews, "labelled" | "next" | "masked">>>;

/** Default of the rows scored in an evaluation. */
const usualRows = 512;

/**
 * A task of rows with a class each. Token 0 is padding.
 *
 * Besides the classes it offers the rows themselves, to be predicted token by token or filled in: what models are pre-trained on before they learn
 * the classes.
 *
 * @param options.limit default of the rows scored in an evaluation. Default: 512
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
  readonly classNames?: readonly string[];
}): LabelledTask {
  const { source, seed, classes, classNames, limit = usualRows, ...about } = options;
  const view = rowsView({ ...about, source, limit, form: labelledForm });
  return {
    ...about,
    metrics: [classLoss, accuracy],
    usualView: "labelled",
    views: {
      labelled: { ...view, classes, ...(classNames !== undefined && { classNames }) },
      next: mapView(view, followingTokens, limit),
      masked: maskedView(mapView(view, ownTokens, limit), { vocabularySize: about.vocabularySize, seed }),
    },
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
