/** A file that is missing, unreadable, or not in the expected form. The message begins with its path. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly path: string;
  /** The message without the path. */
  readonly problem: string;

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
    this.problem = problem;
  }
}

/** Turns an error of the file system into words. */
export function fileError(path: string, error: unknown): FileError {
  const { code } = error as NodeJS.ErrnoException;
  const problem = code === undefined ? undefined : problems[code];
  return new FileError(path, problem ?? (error instanceof Error ? error.message : String(error)));
}

const problems: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EISDIR: "is a folder, expected a file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "is on a disk that cannot be written to",
  ENOSPC: "no space is left on the disk",
};
