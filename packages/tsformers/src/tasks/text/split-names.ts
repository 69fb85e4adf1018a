import { relative, sep } from "node:path";
import { FileError } from "../../io/file-error.ts";
import type { TextSource } from "../../io/read-text.ts";
import type { Note } from "../../io/text-files.ts";
import type { EvalSplit } from "../task.ts";

/** What decides to which split a part of a text belongs: where it stands in the text, or what its file is called. */
export type SplitBy = "position" | "names";

/** A text in the order of its splits. */
export type SplitText = {
  readonly source: TextSource;
  /** The first file of the validation and of the test split. Absent: the text is split by position. */
  readonly firstFiles?: readonly [valid: number, test: number];
};

type SplitName = "train" | EvalSplit;

const splitNames: readonly SplitName[] = ["train", "valid", "test"];

/**
 * Splits a text by the names of its files where all three splits have some, otherwise by position.
 *
 * A file belongs to a split if it is in a folder `train`, `valid` (or `validation`, `val`, `dev`) or `test` at the top, or if its name
 * begins with one of these words, as in `train_1.txt` and `valid.txt`, or has one between dots, as in `wiki.test.tokens`.
 *
 * @param options.data path of the text
 * @param options.splitBy Default: by names if all three splits have files
 * @throws FileError when names shall decide and a split has no file
 */
export function splitByNames(
  source: TextSource,
  { data, splitBy, note }: { readonly data: string; readonly splitBy: SplitBy | undefined; readonly note: Note },
): SplitText {
  if (splitBy === "position") return { source };
  const files = source.paths.map((path, file) => ({ file, path, split: splitOf(relative(data, path)) }));
  const [train, valid, test] = splitNames.map((split) => files.filter((file) => file.split === split));
  const counts = `${train!.length} train, ${valid!.length} valid, ${test!.length} test`;
  const missing = splitNames.filter((_, i) => [train, valid, test][i]!.length === 0);
  if (missing.length > 0) {
    if (splitBy === undefined) {
      if (missing.length < 3) note(`${data}: split by position, since no file is called ${missing.join(" or ")}`);
      return { source };
    }
    throw new FileError(
      data,
      `splits: expected files or folders called train, valid and test, got ${counts}; --splits position splits the text itself`,
    );
  }
  const [firstValid, firstTest] = [train!.length, train!.length + valid!.length];
  const others = files.filter(({ split }) => split === undefined);
  const passed =
    others.length === 0 ? "" : `; passed over: ${shortList(others.map(({ path }) => relative(data, path)))}`;
  note(`${data}: split by the names of files: ${counts}${passed}`);
  const order = [train, valid, test].flatMap((own) => own!.map(({ file }) => file));
  return { source: source.ordered(order, [firstValid, firstTest]), firstFiles: [firstValid, firstTest] };
}

const words: Readonly<Record<string, SplitName>> = {
  train: "train",
  valid: "valid",
  validation: "valid",
  val: "valid",
  dev: "valid",
  test: "test",
};

/** The split that a path inside the data names, if any. */
function splitOf(path: string): SplitName | undefined {
  const [top = "", ...below] = path.toLowerCase().split(sep);
  const splitCalled = (word: string | undefined): SplitName | undefined =>
    word !== undefined && Object.hasOwn(words, word) ? words[word] : undefined;
  const name = below.at(-1) ?? top;
  return (
    (below.length > 0 ? splitCalled(top) : undefined) ??
    splitCalled(/^[a-z]+(?=[._-])/.exec(name)?.[0]) ??
    splitCalled(/^[^.]+\.([a-z]+)\./.exec(name)?.[1])
  );
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
