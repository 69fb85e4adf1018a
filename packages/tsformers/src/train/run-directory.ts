import { join } from "node:path";
import { flatten, isNdArray, NDArray, shapesEqual, unflatten } from "@tsformers/engine";
import { type Checkpoint, type CheckpointProblem, checkpointStore, type JsonValue } from "./checkpoint.ts";
import { type MetricRecord, openMetricsLog } from "./metrics.ts";
import { openTensorBoardLog } from "./tensorboard.ts";

/** What a run must have in common with the one whose checkpoint it goes on from. */
export type Identity = { readonly [name: string]: JsonValue };

/**
 * The directory of one run: `checkpoints/`, `metrics.jsonl` and TensorBoard's event files.
 */
export type RunDirectory = {
  /** The checkpoint to go on from, if any. */
  readonly latest: Checkpoint | undefined;
  /** Newer checkpoints that were damaged. */
  readonly problems: readonly CheckpointProblem[];
  log(record: MetricRecord): void;
  /** Saves a tree of arrays under their dotted paths. @returns the checkpoint's path */
  save(step: number, arrays: unknown, progress: JsonValue): Promise<string>;
  close(): void;
};

/**
 * Opens the directory of a run, new or to go on with.
 *
 * @throws Error when it holds a run of another identity, naming the first difference
 */
export async function openRunDirectory(
  directory: string,
  identity: Identity,
  options: { readonly keep?: number } = {},
): Promise<RunDirectory> {
  const store = checkpointStore(join(directory, "checkpoints"), options);
  const { checkpoint, problems } = await store.latest();
  if (checkpoint !== undefined) requireSame(directory, identity, identityIn(checkpoint));
  const resumeAt = checkpoint === undefined ? {} : { resumeAt: checkpoint.step };
  const metrics = await openMetricsLog(join(directory, "metrics.jsonl"), resumeAt);
  const board = openTensorBoardLog(join(directory, "tensorboard"), resumeAt);
  return {
    latest: checkpoint,
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

/** What `save` was given beside the arrays. */
export function progressIn({ state }: Checkpoint): JsonValue {
  return (state as { readonly progress: JsonValue }).progress;
}

/**
 * A tree like `like` with the arrays of a checkpoint, in memory of their own.
 * @throws Error naming the array that is missing, has another shape or dtype, or has no place
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
    // Not views of one file: donated buffers are written to, and arithmetic may depend on alignment.
    return new NDArray(shape, dtype, found.data.slice());
  });
  return unflatten(structure, restored) as Tree;
}

function identityIn({ state }: Checkpoint): Identity {
  return (state as { readonly identity?: Identity } | null)?.identity ?? {};
}

function requireSame(directory: string, wanted: Identity, found: Identity): void {
  for (const name of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    const [now, then] = [canonical(wanted[name]), canonical(found[name])];
    if (now !== then) {
      throw new Error(
        `${directory} holds a run with ${name} ${then}, this one has ${now}; choose another directory, or remove that run to start anew`,
      );
    }
  }
}

/** JSON with sorted keys. */
function canonical(value: JsonValue | undefined): string {
  if (value === undefined) return "none";
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
