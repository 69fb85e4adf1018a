import { closeSync, openSync, readSync } from "node:fs";
import { NDArray } from "@tsformers/engine";
import { FileError, fileError } from "./file-error.ts";

/** The part of the package `h5wasm` that is used. */
type Hdf5 = {
  /** Once it is asked to, it throws problems instead of printing them. */
  readonly ready: Promise<{ activate_throwing_error_handler(): unknown }>;
  readonly File: new (path: string, mode: "r") => OpenFile;
};

type OpenFile = {
  paths(): string[];
  get(path: string): Dataset | { readonly type: string } | null;
  close(): unknown;
};

type Dataset = {
  readonly type: "Dataset";
  readonly shape: readonly number[];
  readonly metadata: { readonly type: number; readonly size: number; readonly total_size: number };
  readonly value: ArrayLike<number | bigint>;
};

/** Numbers of the HDF5 format for whole numbers, for others, and for enumerations, as which truth values are written. */
const numberTypes: readonly number[] = [0, 1, 8];

/** Elements of an array at most: 2 GiB as float32. */
const mostElements = 2 ** 29;

/**
 * Arrays of numbers in an HDF5 file, as float32, by their paths such as `episode_0/rewards`. Needs the package `h5wasm`, which is installed
 * apart: `npm install h5wasm`.
 *
 * @param wanted says by its path whether an array is read
 * @throws FileError when the file is missing, damaged or of another format; Error without the package
 */
export async function readHdf5(path: string, wanted: (name: string) => boolean): Promise<Map<string, NDArray>> {
  requireSignature(path);
  const { ready, File } = await loadHdf5();
  (await ready).activate_throwing_error_handler();
  let file: OpenFile | undefined;
  try {
    file = new File(path, "r");
    const opened = file;
    const arrays = opened
      .paths()
      .filter(wanted)
      .flatMap((name) => {
        const found = opened.get(name);
        if (found?.type !== "Dataset") return [];
        const array = numbersOf(path, name, found as Dataset);
        return array === undefined ? [] : [[name, array] as const];
      });
    return new Map(arrays);
  } catch (error) {
    throw error instanceof FileError ? error : new FileError(path, `is damaged: ${causeOf(error as Error)}`);
  } finally {
    file?.close();
  }
}

/** The last of the causes that the library lists is the one behind the others. */
function causeOf({ message }: Error): string {
  return [...message.matchAll(/minor: (.+)/g)].at(-1)?.[1] ?? message.split("\n")[0]!;
}

/** An array, undefined where its elements are no numbers. */
function numbersOf(path: string, name: string, dataset: Dataset): NDArray | undefined {
  const { shape, metadata } = dataset;
  if (!numberTypes.includes(metadata.type)) return undefined;
  if (metadata.total_size > mostElements)
    throw new FileError(path, `${name} has ${metadata.total_size} elements, expected at most ${mostElements}`);
  return new NDArray([...shape], "float32", Float32Array.from(dataset.value as ArrayLike<number>, Number));
}

/** @throws FileError for a file that does not begin as HDF5 files do */
function requireSignature(path: string): void {
  const signature = "\x89HDF\r\n\x1a\n";
  const start = Buffer.alloc(signature.length);
  try {
    const file = openSync(path, "r");
    try {
      readSync(file, start);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileError(path, error);
  }
  if (start.toString("latin1") !== signature) throw new FileError(path, "is no HDF5 file");
}

async function loadHdf5(): Promise<Hdf5> {
  // By a name that compilers do not follow: it need not be installed.
  const name = "h5wasm/node";
  try {
    return (await import(name)) as Hdf5;
  } catch (error) {
    throw new Error(
      `HDF5 files need the package h5wasm, which is not installed here: npm install h5wasm (${(error as Error).message.split("\n")[0]})`,
    );
  }
}
