import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type NDArray, safetensorsPieces } from "@tsformers/engine";
import * as z from "zod";
import { syncDirectory, temporaryPath, writeFileSynced } from "../io/atomic-file.ts";
import { FileError, fileError } from "../io/file-error.ts";
import { makeFolder } from "../io/make-folder.ts";
import { readSafetensorsFile } from "../io/safetensors-file.ts";

/** Values that survive `JSON.stringify` and `JSON.parse` unchanged. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** The state of a run at one step: named arrays (parameters, optimiser state) and everything else needed to resume. */
export type Checkpoint = {
  readonly step: number;
  readonly tensors: ReadonlyMap<string, NDArray>;
  readonly state: JsonValue;
};

/** A checkpoint that cannot be used, and a sentence that says why and names the file. */
export type CheckpointProblem = { readonly path: string; readonly message: string };

export type LatestCheckpoint = {
  readonly checkpoint: Checkpoint | undefined;
  /** Newer checkpoints that were skipped because they are damaged, newest first. */
  readonly problems: readonly CheckpointProblem[];
};

/**
 * Checkpoints of one run, each a directory `step-00000100/` with `tensors.safetensors`, `state.json` and
 * `manifest.json`, which holds the size and SHA-256 of the other two.
 *
 * Guarantees: a checkpoint appears under its name only after all of its bytes are on the disk (written under a temporary
 * name, synced, renamed); {@link latest} returns only checkpoints whose checksums match. Many processes may
 * read while one writes; only one may write.
 */
export type CheckpointStore = {
  readonly directory: string;
  /** Writes a checkpoint and returns its path. Then removes older ones beyond the newest `keep`, and leftovers of crashed saves. */
  save(checkpoint: Checkpoint): Promise<string>;
  /** The newest undamaged checkpoint. Does not change the disk. */
  latest(): Promise<LatestCheckpoint>;
};

const format = "tsformers-checkpoint";
const version = 1;
const manifestName = "manifest.json";
const tensorsName = "tensors.safetensors";
const stateName = "state.json";
/** Bytes read or hashed at a time. */
const pieceBytes = 2 ** 22;

const fileSchema = z.object({ sizeBytes: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const manifestSchema = z.object({
  format: z.literal(format),
  version: z.literal(version),
  step: z.int().nonnegative(),
  files: z.object({ [tensorsName]: fileSchema, [stateName]: fileSchema }),
});
type Manifest = z.infer<typeof manifestSchema>;

/**
 * Opens the checkpoints of a directory, which need not exist yet.
 *
 * @param options.keep how many of the newest undamaged checkpoints are kept after a save, ≥ 1. Default: 3
 */
export function checkpointStore(directory: string, options: { keep?: number } = {}): CheckpointStore {
  const { keep = 3 } = options;
  if (!(Number.isInteger(keep) && keep >= 1)) {
    throw new RangeError(`checkpointStore: keep must be an integer ≥ 1, got ${keep}`);
  }
  return {
    directory,
    save: async (checkpoint) => {
      const path = join(directory, nameOf(checkpoint.step));
      makeFolder(directory);
      await removeLeftovers(directory);
      await write(path, checkpoint);
      await prune(directory, checkpoint.step, keep);
      return path;
    },
    latest: async () => {
      const problems: CheckpointProblem[] = [];
      const steps = await stepsIn(directory);
      for (const step of steps) {
        const path = join(directory, nameOf(step));
        try {
          return { checkpoint: await readCheckpoint(path), problems };
        } catch (error) {
          problems.push({ path, message: error instanceof Error ? error.message : String(error) });
        }
      }
      return { checkpoint: undefined, problems };
    },
  };
}

/**
 * Reads one checkpoint directory after checking every byte of it.
 * @throws Error naming the file when one is missing, truncated, altered, or not in this format
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const { step, files } = await readManifest(path);
  const [tensorsPath, statePath] = [join(path, tensorsName), join(path, stateName)];
  await requireWhole(statePath, files[stateName]);
  await requireWhole(tensorsPath, files[tensorsName]);
  const state = parseJson(await readPart(path, stateName), statePath);
  return { step, tensors: await readSafetensorsFile(tensorsPath), state };
}

/** @throws Error when a file is missing or does not match the manifest */
async function requireWhole(path: string, { sizeBytes, sha256 }: z.infer<typeof fileSchema>): Promise<void> {
  const hash = createHash("sha256");
  let size = 0;
  try {
    for await (const piece of createReadStream(path, { highWaterMark: pieceBytes })) {
      hash.update(piece as Uint8Array);
      size += (piece as Uint8Array).length;
    }
  } catch (error) {
    throw partError(path, error);
  }
  if (size !== sizeBytes) throw new Error(`${path}: expected ${sizeBytes} bytes, got ${size}; the checkpoint is torn`);
  if (hash.digest("hex") !== sha256)
    throw new Error(`${path}: checksum differs from the manifest's; the checkpoint is damaged`);
}

async function write(path: string, { step, tensors, state }: Checkpoint): Promise<void> {
  const contents = {
    [tensorsName]: safetensorsPieces(tensors),
    [stateName]: [new TextEncoder().encode(`${JSON.stringify(state, null, 1)}\n`)],
  };
  const manifest: Manifest = {
    format,
    version,
    step,
    files: { [tensorsName]: described(contents[tensorsName]), [stateName]: described(contents[stateName]) },
  };
  if (await holds(path, manifest)) return;
  const temporary = temporaryPath(path);
  try {
    await mkdir(temporary);
    await writeFileSynced(join(temporary, tensorsName), contents[tensorsName]);
    await writeFileSynced(join(temporary, stateName), contents[stateName]);
    await writeFileSynced(join(temporary, manifestName), `${JSON.stringify(manifest, null, 1)}\n`);
    await syncDirectory(temporary);
    await moveAside(path);
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    const { problem, isOfDisk } = fileError(path, error);
    throw new FileError(path, `the checkpoint could not be saved: ${problem}`, isOfDisk);
  }
}

/** Whether an undamaged checkpoint with the same bytes exists already: then nothing is replaced, and no crash can lose it. */
async function holds(path: string, manifest: Manifest): Promise<boolean> {
  try {
    if (JSON.stringify(await readManifest(path)) !== JSON.stringify(manifest)) return false;
    for (const name of [stateName, tensorsName] as const) await requireWhole(join(path, name), manifest.files[name]);
    return true;
  } catch {
    return false;
  }
}

async function readManifest(path: string): Promise<Manifest> {
  const where = join(path, manifestName);
  const parsed = manifestSchema.safeParse(parseJson(await readPart(path, manifestName), where));
  if (!parsed.success) {
    throw new Error(
      `${where}: not a checkpoint of this program (format "${format}", version ${version}): ${z.prettifyError(parsed.error)}`,
    );
  }
  const named = stepOf(basename(path));
  if (named !== undefined && named !== parsed.data.step) {
    throw new Error(`${where}: the directory's name says step ${named}, the manifest says ${parsed.data.step}`);
  }
  return parsed.data;
}

function parseJson(bytes: Uint8Array, where: string): JsonValue {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as JsonValue;
  } catch {
    throw new Error(`${where}: expected JSON, got ${bytes.length} bytes that are not; the checkpoint is torn`);
  }
}

async function readPart(path: string, name: string): Promise<Uint8Array> {
  try {
    return await readFile(join(path, name));
  } catch (error) {
    throw partError(join(path, name), error);
  }
}

function partError(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOENT" && code !== "ENOTDIR") return error;
  return new Error(`${path}: missing; the checkpoint is torn or not one of this program`);
}

/**
 * Removes undamaged checkpoints older than the newest `keep` up to `step`. Damaged ones do not count, so that they cannot displace others,
 * and are not removed, since their owner may want to look.
 */
async function prune(directory: string, step: number, keep: number): Promise<void> {
  const paths = (await stepsIn(directory)).filter((s) => s <= step).map((s) => join(directory, nameOf(s)));
  const looksWhole = await Promise.all(paths.map(sizesAgree));
  for (const path of paths.filter((_, index) => looksWhole[index]).slice(keep)) await moveAside(path);
  await removeLeftovers(directory);
}

/** Checks manifest and sizes only; checksums would mean reading everything at every save. */
async function sizesAgree(path: string): Promise<boolean> {
  try {
    const { files } = await readManifest(path);
    const sizes = await Promise.all(Object.keys(files).map(async (name) => (await stat(join(path, name))).size));
    return Object.values(files).every(({ sizeBytes }, index) => sizeBytes === sizes[index]);
  } catch {
    return false;
  }
}

/** Frees a name in one step; removal in place could be interrupted and leave a torn checkpoint behind. */
async function moveAside(path: string): Promise<void> {
  try {
    await rename(path, temporaryPath(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

async function removeLeftovers(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => /^\.step-\d{8,}\.[0-9a-f-]+\.tmp$/.test(name));
  await Promise.all(names.map((name) => rm(join(directory, name), { recursive: true, force: true })));
}

/** Steps with an entry, newest first. */
async function stepsIn(directory: string): Promise<number[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .map(stepOf)
    .filter((step) => step !== undefined)
    .sort((a, b) => b - a);
}

function nameOf(step: number): string {
  if (!(Number.isSafeInteger(step) && step >= 0)) {
    throw new RangeError(`checkpoint: step must be an integer ≥ 0, got ${step}`);
  }
  return `step-${String(step).padStart(8, "0")}`;
}

function stepOf(name: string): number | undefined {
  const step = Number(/^step-(\d{8,})$/.exec(name)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(step) && nameOf(step) === name ? step : undefined;
}

/** Size and checksum of a file given in pieces. */
function described(pieces: readonly Uint8Array[]): z.infer<typeof fileSchema> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for (const piece of pieces) {
    // One call can hash at most 2 GiB.
    for (let at = 0; at < piece.length; at += pieceBytes) hash.update(piece.subarray(at, at + pieceBytes));
    sizeBytes += piece.length;
  }
  return { sizeBytes, sha256: hash.digest("hex") };
}
