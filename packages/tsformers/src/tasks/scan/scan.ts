import * as z from "zod";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { divided, mapSplits, type Splits, shuffled } from "../splits.ts";
import { storedPairs } from "../stored-pairs.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { vocabularyOf } from "../vocabulary.ts";
import { actionWords, allInstructions, commandWords, type Instruction } from "./commands.ts";

export type ScanOptions = {
  /** Which commands are held back for the test. Default: simple. */
  readonly heldOut?: "simple" | "length" | "jump";
  /** T of a training row. Default: 64, which holds the longest command with its actions. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { heldOut: "simple", length: 64 } as const;

/** Begins the actions, and is padding. */
const start = 0;
const end = 1;

/** The most actions of a command that is trained on, in the split by length. */
const mostActions = 22;
/** The share of training rows that are the lone command `jump`, in the split by primitive. */
const jumpShare = 0.1;

/**
 * SCAN: translate a command into actions, `jump twice and look left` → `I_JUMP I_JUMP I_TURN_LEFT I_LOOK`. All of its 20,910 commands are
 * made from their grammar. What is held back for the test tells whether a model has learned the parts or the whole:
 *
 * - `simple`: a random fifth of the commands.
 * - `length`: those with more than 22 actions.
 * - `jump`: those that contain `jump`, except for `jump` alone, which is a tenth of the training rows.
 *
 * A tenth of the different training commands is kept for validation; `jump` alone is always trained on.
 *
 * Tokens: 0 begins the actions, 1 ends them, then the words of commands, then the actions.
 *
 * @source Lake & Baroni 2018, "Generalization without Systematicity", experiments 1 to 3, arXiv:1711.00350
 * @differs which fifth is the test of `simple` is drawn anew here: the paper drew it at random; the paper has no validation split
 */
export function scanTask(options: ScanOptions = {}): Task<Required<Pick<TaskViews, "pairs" | "next">>> {
  const { heldOut, length, seed = 0 } = { ...defaults, ...options };
  const vocabulary = vocabularyOf(["|", "<end>", ...commandWords, ...actionWords]);
  return {
    name: "scan",
    vocabularySize: vocabulary.size,
    length,
    metrics: [loss, exactAccuracy, tokenAccuracy],
    endToken: end,
    symbolOf: vocabulary.symbolOf,
    usualView: "pairs",
    fingerprint: `scan heldOut=${heldOut} seed=${seed}`,
    views: storedPairs({
      name: "scan",
      length,
      seed,
      start,
      end,
      splits: mapSplits(scanSplits(heldOut), (instructions) =>
        instructions.map(({ command, actions }) => ({
          source: vocabulary.encode(command.split(" ")),
          target: vocabulary.encode(actions),
        })),
      ),
    }),
  };
}

/** The commands of each split, in a random order that is always the same. */
export function scanSplits(heldOut: NonNullable<ScanOptions["heldOut"]>): Splits<readonly Instruction[]> {
  const all = allInstructions();
  const isJump = ({ command }: Instruction): boolean => command === "jump";
  const [test, train] = {
    simple: () => divided(all, 0.2),
    length: () => partition(all, ({ actions }) => actions.length > mostActions),
    jump: () => partition(all, (one) => one.command.split(" ").includes("jump") && !isJump(one)),
  }[heldOut]();
  const [jump, others] = partition(train, isJump);
  const [valid, kept] = divided(others, 0.1);
  const copies = heldOut === "jump" ? Math.round((others.length * jumpShare) / (1 - jumpShare)) : 1;
  const jumps = jump.flatMap((one) => new Array<Instruction>(copies).fill(one));
  return { train: [...kept, ...jumps], valid, test: shuffled(test) };
}

function partition<T>(items: readonly T[], isFirst: (item: T) => boolean): [first: T[], second: T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}

export type ScanSettings = ScanOptions;

export const scanEntry: TaskEntry<"scan", ScanSettings> = /* @__PURE__ */ taskEntry({
  name: "scan",
  title: "SCAN",
  category: "generated",
  summary: "translate commands into actions, with commands of a new sort in the test (compositional generalisation)",
  options: () =>
    z.strictObject({
      heldOut: z
        .enum(["simple", "length", "jump"])
        .default(defaults.heldOut)
        .describe(
          "which commands the test holds: a random fifth, those with more than 22 actions, those that use jump",
        ),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => scanTask(settings),
});
