import { join } from "node:path";
import { flatten, isNdArray, shapesEqual, unflatten } from "@tsformers/engine";
import * as z from "zod";
import { type Checkpoint, type CheckpointProblem, checkpointStore, type JsonValue } from "./checkpoint.ts";
import { type MetricRecord, openMetricsLog } from "./metrics.ts";
import { openTensorBoardLog } from "./tensorboard.ts";
import type { Progress } from "./train-options.ts";

/** What a run must have in common with the run that it resumes. */
export type Identity = { readonly [name: string]: JsonValue };

/**
 * The directory of one run: `checkpoints/`, `metrics.jsonl` and TensorBoard's event files.
 */
export type RunDirectory = {
  /** The checkpoint to resume from, if any, and the progress of its run. */
  readonly latest: { readonly checkpoint: Checkpoint; readonly progress: Progress } | undefined;
  /** Newer checkpoints, which are damaged. */
  readonly problems: readonly CheckpointProblem[];
  log(record: MetricRecord): void;
  /** Saves a tree of arrays by their dotted paths. @returns the checkpoint's path */
  save(step: number, arrays: unknown, progress: Progress): Promise<string>;
  close(): void;
};

/**
 * Opens the directory of a run, to start a new one or resume.
 *
 * @throws Error when it holds a run with another identity, naming the first difference
 */
export async function openRunDirectory(
  directory: string,
  identity: Identity,
  options: { readonly keep?: number } = {},
): Promise<RunDirectory> {
  const store = checkpointStore(join(directory, "checkpoints"), options);
  const { checkpoint, problems } = await store.latest();
  const latest = checkpoint && { checkpoint, progress: readState(directory, checkpoint).progress };
  if (checkpoint !== undefined) requireSameRun(directory, identity, checkpoint);
  const resumeAt = checkpoint === undefined ? {} : { resumeAt: checkpoint.step };
  const metrics = await openMetricsLog(join(directory, "metrics.jsonl"), {
    ...resumeAt,
    // An evaluation that was interrupted after its checkpoint is repeated, so its record is removed.
    drop: ({ step, ...rest }) =>
      "valid/loss" in rest && step === checkpoint?.step && latest?.progress.evaluation?.step !== step,
  });
  const board = openTensorBoardLog(join(directory, "tensorboard"), resumeAt);
  return {
    latest,
    problems,
    log: (record) => {
      metrics.write(record);
      for (const [name, value] of Object.entries(record)) {
        if (name !== "step" && typeof value === "number") board.scalar(name, value, record.step);
      }
    },
    save: (step, arrays, progress) => {
      const { leaves, paths } = flatten(arrays, isNdArray);
      const tensors = new Map(leaves.map((leaf, i) => [paths[i]!, leaf]));
      return store.save({ step, tensors, state: { identity, progress } });
    },
    close: () => {
      metrics.close();
      board.close();
    },
  };
}

const number = z.number();
/** NaN is null in JSON. */
const loss = number.nullable().transform((value) => value ?? Number.NaN);
const progressSchema = z.object({
  stopping: z
    .object({ best: z.object({ step: number, loss }).nullable(), waited: number, stop: z.boolean() })
    .nullable(),
  evaluation: z
    .object({
      step: number,
      totals: z.object({
        lossSum: loss,
        tokens: number,
        correct: number.optional(),
        rows: number,
        exactRows: number.optional(),
      }),
    })
    .nullable(),
});
const stateSchema = z.object({ identity: z.record(z.string(), z.json()), progress: progressSchema });

/** The state stored with a checkpoint's arrays. @throws Error naming the file when it has another form */
function readState(directory: string, { step, state }: Checkpoint): { identity: Identity; progress: Progress } {
  const result = stateSchema.safeParse(state);
  if (result.success) return result.data as { identity: Identity; progress: Progress };
  throw new Error(
    `${directory}: state.json of the checkpoint of step ${step} is not that of a run: ${z.prettifyError(result.error)}`,
  );
}

/**
 * A tree like `like` with the arrays of a checkpoint. It takes ownership of them: a run may overwrite their memory.
 * @throws Error naming the array that is missing, unknown, or has another shape or dtype
 */
export function restore<Tree>(like: Tree, { tensors, step }: Checkpoint): Tree {
  const { leaves, paths, structure } = flatten(like, isNdArray);
  const unknown = [...tensors.keys()].find((name) => !paths.includes(name));
  if (unknown !== undefined)
    throw new Error(`checkpoint of step ${step}: ${unknown} belongs to another model or optimiser`);
  const restored = leaves.map(({ shape, dtype }, i) => {
    const found = tensors.get(paths[i]!);
    if (found === undefined) throw new Error(`checkpoint of step ${step}: ${paths[i]} is missing`);
    if (!shapesEqual(found.shape, shape) || found.dtype !== dtype) {
      throw new Error(
        `checkpoint of step ${step}: expected ${paths[i]} to be ${dtype}[${shape}], got ${found.dtype}[${found.shape}]`,
      );
    }
    return found;
  });
  return unflatten(structure, restored) as Tree;
}

/**
 * Makes sure that a checkpoint belongs to a run: their identities must be equal.
 *
 * @throws Error naming the first difference
 */
export function requireSameRun(directory: string, wanted: Identity, checkpoint: Checkpoint): void {
  const { identity } = readState(directory, checkpoint);
  for (const name of Object.keys(wanted)) {
    const [now, then] = [canonical(wanted[name]), canonical(identity[name])];
    if (now !== then) {
      throw new Error(
        `${directory} holds a run with ${name} ${then}, this one has ${now}; choose another directory, or remove that run to start anew`,
      );
    }
  }
}

/** JSON with sorted keys, for comparison. */
function canonical(value: JsonValue | undefined): string {
  if (value === undefined) return "none";
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
