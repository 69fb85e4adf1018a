import { dataFiles } from "./data-files.ts";
import { decodeText, noteOnStderr } from "./read-text.ts";

/** A text of a data set. */
export type DataText = {
  /** Its path inside the folder or archive, with slashes and without `.gz`. */
  readonly name: string;
  /** Where it lies, for messages. */
  readonly path: string;
  readonly text: string;
};

/**
 * The texts of a data set that fits in memory, in the order of their names: a folder, an archive of one (zip, tar, tar.gz), or a single file. Each file
 * may be packed with gzip.
 *
 * @param wanted which files of a folder or archive are read. A single file is read whatever its name.
 * @throws FileError when the path is missing, an archive is damaged or too large, or a file is not text
 */
export function readDataTexts(path: string, wanted: (name: string) => boolean): DataText[] {
  const files = dataFiles(path, { note: noteOnStderr });
  return files
    .filter((file) => file.path === path || wanted(withoutGz(file.name)))
    .map((file) => ({ name: withoutGz(file.name), path: file.path, text: decodeText(file.read(), file.path) }));
}

function withoutGz(name: string): string {
  return name.replace(/\.gz$/i, "");
}
