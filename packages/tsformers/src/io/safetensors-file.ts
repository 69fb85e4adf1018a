import { type FileHandle, open } from "node:fs/promises";
import { type NDArray, openSafetensors, type SafetensorsIndex } from "@tsformers/engine";
import { FileError, fileError } from "./file-error.ts";

/** A safetensors file whose tensors are read one by one while it is open. */
export type OpenSafetensors = SafetensorsIndex & { close(): Promise<void> };

/** Node reads at most 2 GiB − 1 at a time. */
const largestRead = 2 ** 30;

/** The beginning of the pointer file that Git LFS leaves in place of a real one. */
const pointerStart = "version https://git-lfs";

/**
 * Opens a safetensors file of any size: its header is read and checked at once, its tensors on demand.
 *
 * @throws FileError when it is missing or not a file; SafetensorsError when it is damaged
 */
export async function openSafetensorsFile(path: string): Promise<OpenSafetensors> {
  const file = await openFile(path);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new FileError(path, "expected a file of weights, found something else");
    const { size: sizeBytes } = stats;
    await refusePointer(path, file, sizeBytes);
    const index = await openSafetensors({ sizeBytes, read: (begin, into) => readWhole(path, file, begin, into) }, path);
    return { ...index, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Reads every tensor of a file; see {@link openSafetensorsFile}. */
export async function readSafetensorsFile(path: string): Promise<Map<string, NDArray>> {
  const file = await openSafetensorsFile(path);
  try {
    return await readTensors(file);
  } finally {
    await file.close();
  }
}

/** Reads every tensor of an open file. */
export async function readTensors({ tensors }: SafetensorsIndex): Promise<Map<string, NDArray>> {
  const arrays = new Map<string, NDArray>();
  for (const [name, tensor] of tensors) arrays.set(name, await tensor.read());
  return arrays;
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (error) {
    throw fileError(path, error);
  }
}

async function refusePointer(path: string, file: FileHandle, sizeBytes: number): Promise<void> {
  if (sizeBytes < pointerStart.length) return;
  const start = new Uint8Array(pointerStart.length);
  await readWhole(path, file, 0, start);
  if (new TextDecoder().decode(start) === pointerStart)
    throw new FileError(path, "is a pointer of Git LFS, not the weights themselves; run `git lfs pull` beside it");
}

async function readWhole(path: string, file: FileHandle, begin: number, into: Uint8Array): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, Math.min(into.length - at, largestRead), begin + at);
    if (bytesRead === 0) throw new FileError(path, `ended at byte ${begin + at} while it was read`);
    at += bytesRead;
  }
}
