/** A file that is missing, unreadable, or not in the expected form. The message begins with its path. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly path: string;
  /** The message without the path. */
  readonly problem: string;
  /** Whether it is the disk's fault, such as that it is full: nobody has named a wrong file. */
  readonly isOfDisk: boolean;

  constructor(path: string, problem: string, isOfDisk = false) {
    super(`${path}: ${problem}`);
    this.path = path;
    this.problem = problem;
    this.isOfDisk = isOfDisk;
  }
}

/** Turns an error of the file system into words. */
export function fileError(path: string, error: unknown): FileError {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && code in ofDisk) return new FileError(path, ofDisk[code]!, true);
  const problem = code === undefined ? undefined : problems[code];
  return new FileError(path, problem ?? (error instanceof Error ? error.message : String(error)));
}

const problems: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EISDIR: "is a folder, expected a file",
  EACCES: "permission denied",
  EPERM: "permission denied",
};

const ofDisk: Readonly<Record<string, string>> = {
  EROFS: "is on a disk that cannot be written to",
  ENOSPC: "no space is left on the disk",
  EDQUOT: "what may be written to this disk is used up",
  EIO: "the disk cannot be read or written here",
};
