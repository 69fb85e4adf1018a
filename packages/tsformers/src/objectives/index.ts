import { type DecisionOptions, decisionModel } from "../models/agents/decision-model.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { hasSummaries } from "../models/summaries.ts";
import { hasTwoStreams } from "../models/two-streams.ts";
import type { PictureModel, PictureShape } from "../pictures/picture-model.ts";
import { present } from "../schema/present.ts";
import type { Quantity, Task, TaskViews, ViewName } from "../tasks/task.ts";
import { classification } from "./classification.ts";
import { clustering } from "./clustering.ts";
import { contrastiveObjective } from "./contrastive.ts";
import { deciding } from "./deciding.ts";
import { matching } from "./matching.ts";
import { nextSentenceObjective } from "./next-sentence.ts";
import type { Objective } from "./objective.ts";
import { permutationObjective } from "./permutation.ts";
import { pictureObjective, picturesOf } from "./pictures.ts";
import { reconstruction } from "./reconstruction.ts";
import { regression } from "./regression.ts";
import { sequenceToSequenceObjective } from "./sequence-to-sequence.ts";
import { spanFinding } from "./spans.ts";
import { tagging } from "./tagging.ts";
import { tokenObjective } from "./tokens.ts";

export {
  type ClassificationOptions,
  type ClassificationParams,
  classification,
  classifier,
} from "./classification.ts";
export { type ClusteringOptions, type ClusteringParams, clusterer, clustering } from "./clustering.ts";
export { type ContrastiveOptions, contrastiveObjective } from "./contrastive.ts";
export { decider, deciding } from "./deciding.ts";
export { type MatchingOptions, type MatchingParams, matcher, matching } from "./matching.ts";
export { type NextSentenceParams, nextSentenceModel, nextSentenceObjective } from "./next-sentence.ts";
export type { BatchTotals, LossFunction, Memories, Objective, Symbolic, WeightedLoss } from "./objective.ts";
export { type PermutationOptions, permutationObjective, predictionOf } from "./permutation.ts";
export { pictureObjective, picturesOf } from "./pictures.ts";
export { firstPosition, lastPosition, meanOfPositions, type Pooling } from "./pooling.ts";
export { type ReconstructionParams, reconstruction, reconstructor } from "./reconstruction.ts";
export { type RegressionOptions, type RegressionParams, regression, regressor } from "./regression.ts";
export { sequenceToSequenceObjective } from "./sequence-to-sequence.ts";
export { type SpanOptions, spanFinder, spanFinding } from "./spans.ts";
export { type TaggingOptions, tagger, tagging } from "./tagging.ts";
export { type TokenObjectiveOptions, tokenObjective } from "./tokens.ts";

export type ObjectiveName =
  | "next"
  | "segments"
  | "masked"
  | "next-sentence"
  | "permuted"
  | "contrastive"
  | "class"
  | "match"
  | "tag"
  | "spans"
  | "pairs"
  | "reconstruct"
  | "cluster"
  | "regress"
  | "act"
  | "pictures";

/** What a model is trained for, before a model is there. */
export type ObjectiveEntry = {
  readonly summary: string;
  /** The view of a task that it reads. */
  readonly view: ViewName;
  /** What it needs of a model, in words; absent where any model over tokens will do. */
  readonly needs?:
    | "a causal model"
    | "an encoder-decoder"
    | "a model with two streams"
    | "a model that sums up segments"
    | "a model that sees both sides";
  /** Whether it hides tokens, and can hide those of a word together. */
  readonly hides?: true;
};

/** Every objective by name. */
export const objectives: Readonly<Record<ObjectiveName, ObjectiveEntry>> = {
  next: { summary: "predict each next token", view: "next", needs: "a causal model" },
  segments: {
    summary: "predict each next token; rows go on from batch to batch, and models remember them",
    view: "segments",
    needs: "a causal model",
  },
  masked: { summary: "predict hidden tokens from both sides", view: "masked", hides: true },
  "next-sentence": {
    summary: "predict hidden tokens, and whether the second part of a row follows the first",
    view: "sentences",
    needs: "a model that sees both sides",
    hides: true,
  },
  permuted: {
    summary: "predict hidden tokens one after another in a random order, each from those before it, too",
    view: "masked",
    needs: "a model with two streams",
  },
  contrastive: {
    summary: "predict hidden tokens, and tell hidden segments from each other",
    view: "masked",
    needs: "a model that sums up segments",
  },
  class: { summary: "tell the class of a row", view: "labelled" },
  match: { summary: "tell the class of two rows, each of which is read alone", view: "matched" },
  tag: { summary: "tell a class at each position", view: "tagged" },
  spans: { summary: "tell where in a document the answer to a question is", view: "spans" },
  pairs: { summary: "write one sequence while reading another", view: "pairs", needs: "an encoder-decoder" },
  reconstruct: { summary: "give a row back from the state at its last position", view: "reconstructed" },
  cluster: { summary: "tell the mixture of Gaussians that the points of a row come from", view: "points" },
  regress: { summary: "tell a number of a set of vectors", view: "quantities" },
  act: { summary: "do what led to the return that is asked for", view: "windows", needs: "a causal model" },
  pictures: { summary: "tell how likely pictures are, and so draw them", view: "pictures", needs: "a causal model" },
};

/** A model as objectives see it. */
export type Trainable =
  | (LanguageModel & { readonly category: "decoder" | "encoder" })
  | (SequenceToSequence & { readonly category: "encoder-decoder" })
  | (PictureModel & { readonly category: "picture" });

/** Whether an objective can train a model. */
function fits(name: ObjectiveName, model: Trainable): boolean {
  if (model.category === "encoder-decoder") return name === "pairs";
  if (model.category === "picture") return name === "pictures";
  if (name === "pairs") return false;
  if (name === "permuted") return hasTwoStreams(model);
  if (name === "contrastive") return hasSummaries(model);
  if (name === "next-sentence") return !model.causal;
  return objectives[name].needs === undefined || model.causal;
}

/**
 * What a model is trained for on a task, where nothing else is asked for: what the task is about; otherwise rows that go on for a model that remembers, next tokens for
 * one that is causal, hidden ones for one that sees both sides, in a random order where it has two streams, classes or whole rows where the task has no other view.
 */
export function usualObjective(
  model: Trainable,
  { views, usualView }: Pick<Task, "views" | "usualView">,
): ObjectiveName | undefined {
  const remembers = model.category === "decoder" && model.layers.some(({ segment }) => segment !== undefined);
  const ofRows = ["class", "match", "tag", "spans", "reconstruct", "cluster", "regress", "act", "pictures"] as const;
  const order: readonly ObjectiveName[] = remembers
    ? ["segments", "next", ...ofRows, "masked", "pairs"]
    : ["next", ...(model.category === "encoder" ? (["permuted", "masked"] as const) : []), ...ofRows, "pairs"];
  const possible = order.filter((name) => fits(name, model) && views[objectives[name].view] !== undefined);
  return possible.find((name) => objectives[name].view === usualView) ?? possible[0];
}

/**
 * Makes sure that a model can be trained for an objective on a task.
 *
 * @param names what model and task are called
 * @throws RangeError saying in one line what does not fit and what would
 */
export function requireObjective(
  name: ObjectiveName,
  model: Trainable,
  views: TaskViews,
  names: { readonly model: string; readonly task: string },
): void {
  const { needs = "a model over one sequence" } = objectives[name];
  const all = Object.keys(objectives) as ObjectiveName[];
  const offered = all.filter((other) => views[objectives[other].view] !== undefined);
  const learned = all.filter((other) => fits(other, model));
  const possible = learned.filter((other) => offered.includes(other));
  if (possible.includes(name)) return;
  if (possible.length === 0) {
    throw new RangeError(
      `task ${names.task} has nothing for ${names.model}: it offers ${offered.join(", ")}, and ${names.model} learns ${learned.join(", ")}`,
    );
  }
  if (!learned.includes(name)) {
    throw new RangeError(
      `${names.model} cannot be trained for "${name}", which needs ${needs}; on task ${names.task} it can for ${possible.join(", ")}`,
    );
  }
  throw new RangeError(
    `task ${names.task} has nothing for "${name}"; ${names.model} can be trained for ${possible.join(", ")} on it`,
  );
}

/**
 * Sizes of what is told: how many classes, how many components in how many features, a number of vectors, actions in an environment, pictures, or
 * what ends a question and how long answers are. Absent where nothing of it is.
 */
export type AnswerSizes = {
  readonly classes?: number | undefined;
  readonly features?: number | undefined;
  readonly components?: number | undefined;
  readonly quantity?: Quantity | undefined;
  readonly decisions?: DecisionOptions | undefined;
  readonly shape?: PictureShape | undefined;
  readonly separator?: number | undefined;
  readonly longest?: number | undefined;
};

/** What the head of an objective must know of a task. */
export function answerSizes(name: ObjectiveName, views: TaskViews): AnswerSizes {
  const sizes = { ...views[objectives[name].view] } as AnswerSizes;
  const { classes, features, components, quantity, decisions, shape, separator, longest } = sizes;
  return present({ classes, features, components, quantity, decisions, shape, separator, longest });
}

/**
 * The objective of a model on a task, once {@link requireObjective} has said yes.
 *
 * @throws RangeError for smoothing where there are no labels
 */
export function makeObjective(
  name: ObjectiveName,
  model: Trainable,
  views: TaskViews,
  options: { readonly smoothing?: number } = {},
): Objective<unknown, never> {
  if (model.category === "encoder-decoder") return sequenceToSequenceObjective(model, options);
  const { classes, features, components, quantity, decisions, shape, separator, longest } = answerSizes(name, views);
  if (name === "pictures") {
    refuseSmoothing(options, "pictures are scored as they are");
    return pictureObjective(model.category === "picture" ? model : picturesOf(model.body, shape!));
  }
  if (model.category === "picture") throw new TypeError(`a model of pictures cannot be trained for "${name}"`);
  if (name === "class") return classification(model.body, { ...options, classes: classes! });
  if (name === "match") return matching(model.body, { ...options, classes: classes! });
  if (name === "tag") return tagging(model.body, { ...options, classes: classes! });
  if (name === "spans") {
    refuseSmoothing(options, "answers are where they are");
    return spanFinding(model.body, { separator: separator!, longest: longest! });
  }
  if (name === "cluster") {
    refuseSmoothing(options, "points have no labels to smooth");
    return clustering(model.body, { features: features!, components: components! });
  }
  if (name === "regress") {
    refuseSmoothing(options, "numbers have no labels to smooth");
    return regression(model.body, quantity!);
  }
  if (name === "act") return deciding(decisionModel(name, model.body, decisions!), options);
  if (name === "reconstruct") return reconstruction(model.body, options);
  if (name === "next-sentence") return nextSentenceObjective(model, options);
  if (name === "permuted" && hasTwoStreams(model)) return permutationObjective(model, options);
  if (name === "contrastive" && hasSummaries(model)) return contrastiveObjective(model, options);
  return tokenObjective(model, { ...options, segments: name === "segments" });
}

/** @throws RangeError for an objective whose answers have no labels to smooth */
function refuseSmoothing({ smoothing = 0 }: { readonly smoothing?: number }, why: string): void {
  if (smoothing !== 0) throw new RangeError(`labelSmoothing: ${why}; leave it out`);
}
