import type { NDArray } from "@tsformers/engine";
import { downscaled } from "./arena/downscale.ts";
import { jointLogDensities, logDensity } from "./gaussian-mixture.ts";
import { rowsOfPoints } from "./point-rows.ts";
import { scatterText } from "./scatter-text.ts";
import type {
  Batch,
  LabelledBatch,
  MatchedBatch,
  PairBatch,
  PicturesBatch,
  PointsBatch,
  QuantitiesBatch,
  SentencesBatch,
  SpansBatch,
  Task,
  TaskViews,
  ViewName,
  WindowsBatch,
} from "./task.ts";

/** One row of a task, written for people. */
export type TaskExample = {
  readonly view: ViewName;
  /** What the model reads. After a position that is scored stands what is expected there: `k3→v7`. */
  readonly input: string;
  /** What is expected of the row as a whole, such as its class. */
  readonly expected?: string;
  /** What counts. */
  readonly scored: string;
};

/** The first row of training, in the view that the task is about; of evaluation, where that scores other positions. */
export function exampleOf(task: Task): TaskExample {
  const views = Object.keys(task.views) as ViewName[];
  const view = task.usualView ?? views[0]!;
  const { trainBatch, evalBatches } = task.views[view]!;
  if (task.scoredApart === undefined) return { view, ...writers[view](trainBatch(1, 1) as never, task) };
  const [batch] = evalBatches("valid", { batchSize: 1, length: task.length, limit: task.length });
  const written = writers[view](batch as never, task);
  return { view, ...written, scored: `${written.scored}; in training each position` };
}

type Written = Omit<TaskExample, "view">;

const writers: { readonly [View in ViewName]: (batch: never, task: Task) => Written } = {
  next: positions,
  segments: positions,
  masked: positions,
  sentences: (batch: SentencesBatch, task) => ({
    ...positions(batch, task),
    expected: batch.labels.toNumbers()[0] === 0 ? "the second part follows" : "the second part is of another place",
  }),
  tagged: (batch: Batch, task) => positions(batch, task, classText(task, "tagged")),
  labelled: (batch: LabelledBatch, task) => ({
    input: rowText(batch.inputs, batch.mask, task),
    expected: classText(task, "labelled")(batch.labels.toNumbers()[0]!),
    scored: "the class of the row",
  }),
  matched: (batch: MatchedBatch, task) => ({
    input: [rowText(batch.inputs, batch.mask, task), "– and –", rowText(batch.others, batch.othersMask, task)].join(
      "\n",
    ),
    expected: classText(task, "matched")(batch.labels.toNumbers()[0]!),
    scored: "the class of the two rows",
  }),
  reconstructed: ({ inputs, weights }: Batch, task) => ({
    input: rowText(inputs, weights, task),
    expected: "the same row",
    scored: `each of its ${sum(weights)} tokens`,
  }),
  pairs: (batch: PairBatch, task) => {
    const scoredCount = sum(batch.weights);
    return {
      input: rowText(batch.source, batch.sourceWeights, task),
      expected: joined(batch.targets.toNumbers().slice(0, scoredCount).map(symbols(task))),
      scored: `the ${scoredCount} tokens of the target`,
    };
  },
  spans: ({ inputs, mask, targets }: SpansBatch, task) => {
    const [from, to] = targets.toNumbers() as [number, number];
    return {
      input: rowText(inputs, mask, task),
      expected: joined(
        inputs
          .toNumbers()
          .slice(from, to + 1)
          .map(symbols(task)),
      ),
      scored: "where the answer begins and where it ends",
    };
  },
  points: pointsText,
  quantities: quantityText,
  windows: windowText,
  pictures: colourText,
};

/** The brightness of each pixel. */
function colourText({ pictures }: PicturesBatch, { vocabularySize: levels }: Task): Written {
  const [, , columns, channels] = pictures.shape as [number, number, number, number];
  const values = pictures.toNumbers();
  const tokens = Array.from({ length: values.length / channels }, (_, pixel) => {
    const own = values.slice(pixel * channels, (pixel + 1) * channels);
    return 1 + Math.round(own.reduce((sum, value) => sum + value, 0) / channels);
  });
  return { input: pictureText(tokens, columns, levels), scored: `each of its ${values.length} values` };
}

/** A line for each step: what is still to come, what is seen, what was done. */
function windowText({ returns, states, actions, timesteps, mask }: WindowsBatch): Written {
  const [length, features] = states.shape.slice(1) as [number, number];
  const [told, seen, done, steps] = [returns, states, actions, timesteps].map((array) => array.toNumbers());
  const width = actions.size / length;
  const text = (values: readonly number[]): string =>
    values.map((value) => (Number.isInteger(value) ? String(value) : value.toFixed(2))).join(" ");
  const lines = mask.toNumbers().flatMap((isReal, t) => {
    if (isReal === 0) return [];
    const state = seen!.slice(t * features, (t + 1) * features);
    const action = done!.slice(t * width, (t + 1) * width);
    return [`step ${steps![t]}: return ${text([told![t]!])}, state ${text(state)} → ${text(action)}`];
  });
  return { input: lines.join("\n"), scored: `the action of each of its ${lines.length} steps` };
}

/** Numbers as they are read, or small pictures side by side, and what is to be told of them. */
function quantityText({ inputs, mask, quantities }: QuantitiesBatch, { views }: Task): Written {
  const { features, side, error } = views.quantities!.quantity;
  const real = mask.toNumbers().filter((isReal) => isReal > 0).length;
  const values = inputs.toNumbers();
  const vectors = Array.from({ length: real }, (_, t) => values.slice(t * features, (t + 1) * features));
  const [quantity] = quantities.toNumbers() as [number];
  const unit = error.kind === "absolute" ? error.unit : 1;
  const written = (numbers: readonly number[]): string => numbers.map((value) => (value * unit).toFixed(1)).join(",");
  return {
    input: side === undefined ? vectors.map(written).join(" ") : besideOneAnother(vectors, side),
    expected: error.kind === "absolute" ? `the number ${quantity.toFixed(1)}` : `the count ${quantity}`,
    scored: "the number told of the set",
  };
}

/** Pictures at a third of their size, five in a line. */
function besideOneAnother(pictures: readonly (readonly number[])[], side: number): string {
  const small = Math.floor(side / 3);
  const texts = pictures.map((picture) => {
    const levels = downscaled(
      Uint8Array.from(picture, (ink) => Math.round(255 * ink)),
      side,
      small,
    );
    return pictureText(
      Array.from(levels, (level) => 1 + level),
      small,
      256,
    ).split("\n");
  });
  const lines = Array.from({ length: Math.ceil(texts.length / 5) }, (_, line) => texts.slice(5 * line, 5 * line + 5));
  return lines
    .map((line) => Array.from({ length: small }, (_, row) => line.map((text) => text[row]).join("  ")).join("\n"))
    .join("\n\n");
}

/** A picture of the points, each as the letter of the component that it most likely comes from. */
function pointsText(batch: PointsBatch): Written {
  const [{ points, mixture }] = rowsOfPoints(batch) as [ReturnType<typeof rowsOfPoints>[number]];
  const letterOf = (component: number): string => String.fromCharCode(97 + (component % 26));
  const marks = points.map((point) => {
    const joint = jointLogDensities(mixture, point);
    return { x: point[0]!, y: point[1] ?? 0, symbol: letterOf(joint.indexOf(Math.max(...joint))) };
  });
  const known = points.reduce((total, point) => total + logDensity(mixture, point), 0) / points.length;
  const parts = mixture.map(
    ({ logWeight, mean }, k) =>
      `${letterOf(k)} ${Math.exp(logWeight).toFixed(2)} at (${mean.map((value) => value.toFixed(2)).join(", ")})`,
  );
  return {
    input: scatterText(marks, { columns: 56, lines: 16 }),
    expected: `the mixture: ${parts.join("; ")}`,
    scored: `the mean log-likelihood of the ${points.length} points${
      batch.inputs.shape[2]! > 2 ? ", of which the first two numbers are drawn" : ""
    }; this mixture has ${known.toFixed(3)} nats`,
  };
}

/** `a→b` where b is expected; a run of text, where every next character is, as it stands. */
function positions(
  { inputs, targets, weights }: Batch,
  task: Task,
  targetText: (token: number) => string = symbols(task),
): Written {
  const [tokens, wanted, scored] = [inputs.toNumbers(), targets.toNumbers(), weights.toNumbers()];
  const count = sum(weights);
  const symbolOf = symbols(task);
  const last = scored.findLastIndex((weight) => weight > 0);
  const isEach = count === last + 1 && wanted.slice(0, last).every((token, t) => token === tokens[t + 1]);
  if (isEach)
    return { input: joined(tokens.slice(0, last + 1).map(symbolOf)), scored: `each of the ${count} next tokens` };
  if (task.tokenizer !== undefined) {
    const written = scoredText(tokens.map(symbolOf), wanted.map(targetText), scored.slice(0, last + 1));
    return { input: written, scored: `${count} of ${tokens.length} positions, those behind →` };
  }
  const marked = tokens
    .slice(0, Math.max(last + 1, 1))
    .map((token, t) => (scored[t]! > 0 ? `${symbolOf(token)}→${targetText(wanted[t]!)}` : symbolOf(token)));
  return { input: marked.join(" "), scored: `${count} of ${tokens.length} positions, those with →` };
}

/** Text with a → before what is expected: characters that are scored one after another have one in common. */
function scoredText(inputs: readonly string[], targets: readonly string[], scored: readonly number[]): string {
  return scored
    .map((weight, t) => {
      const followsScored = t > 0 && scored[t - 1]! > 0 && targets[t - 1] === inputs[t];
      const input = followsScored ? "" : inputs[t]!;
      if (weight === 0) return input;
      return `${input}${followsScored ? "" : "→"}${targets[t]!}`;
    })
    .join("");
}

function symbols({ symbolOf, tokenizer }: Task): (token: number) => string {
  if (symbolOf !== undefined) return symbolOf;
  return tokenizer === undefined ? String : (token) => tokenizer.decode([token]);
}

function classText({ views }: Task, view: "labelled" | "matched" | "tagged"): (label: number) => string {
  const names = (views as TaskViews)[view]?.classNames;
  return (label) => names?.[label] ?? String(label);
}

/** The tokens that are no padding: a text as a whole, a picture line by line. */
function rowText(tokens: NDArray, mask: NDArray, task: Task): string {
  const isReal = mask.toNumbers();
  const real = tokens.toNumbers().filter((_, t) => isReal[t]! > 0);
  if (task.columns !== undefined) return pictureText(real, task.columns, task.vocabularySize - 1);
  if (task.symbolOf === undefined && task.tokenizer !== undefined) return task.tokenizer.decode(real);
  return joined(real.map(symbols(task)));
}

/** From dark to bright. */
const shades = ".:-=+*#%@";

function pictureText(tokens: readonly number[], columns: number, levels: number): string {
  const lines = Array.from({ length: Math.ceil(tokens.length / columns) }, (_, line) =>
    tokens.slice(line * columns, (line + 1) * columns),
  );
  const shadeOf = (token: number): string => shades[Math.floor(((token - 1) * shades.length) / levels)]!;
  return lines.map((line) => line.map(shadeOf).join("")).join("\n");
}

/** Characters follow each other directly, longer symbols with spaces between them. */
function joined(texts: readonly string[]): string {
  return texts.join(texts.every((text) => text.length <= 1) && texts.includes(" ") ? "" : " ");
}

function sum(array: NDArray): number {
  return array.toNumbers().reduce((total, value) => total + value, 0);
}
