import { crc32c } from "../../io/crc32c.ts";
import { type DataFile, dataFiles } from "../../io/data-files.ts";
import { FileError } from "../../io/file-error.ts";
import { noteOnStderr } from "../../io/read-text.ts";
import type { Note } from "../../io/text-files.ts";
import { type Splits, shuffled, tenths } from "../splits.ts";
import type { EvalSplit } from "../task.ts";
import type { Documents, LabelledDocument } from "./classify-text.ts";

/** What folders of splits are called. */
const splitNames: Readonly<Record<string, "train" | EvalSplit>> = {
  train: "train",
  training: "train",
  valid: "valid",
  validation: "valid",
  val: "valid",
  dev: "valid",
  test: "test",
  testing: "test",
};

/** A document, where it was found. */
type Found = { readonly name: string; readonly className: string; readonly split: "train" | EvalSplit | undefined };

/**
 * Finds documents in a folder or an archive: files below a folder that is called like their class, `pos/1.txt`, or like their split and then their
 * class, `train/pos/1.txt`. Other files beside those folders are passed over; so are files with zero bytes, which are no text, and empty ones.
 *
 * Without splits, a tenth of each class is for validation and another one for the test, always the same ones. Where only the validation or the test is
 * missing, it is such a tenth of the training split. With splits, a class that the test or the validation lacks is passed over, such as
 * IMDb's `unsup`.
 *
 * @throws FileError when there are fewer than two classes, or a class has too few documents to split
 */
export function readDocuments(path: string, { note = noteOnStderr }: { readonly note?: Note } = {}): Documents {
  const files = dataFiles(path, { note });
  const found = placed(files);
  const given = new Set(found.flatMap(({ split }) => split ?? []));
  const classNames = classesIn(found, given, path, note);
  const documents = documentsOf(found, classNames, path, note);
  const parts = classNames.map((className) =>
    splitClass(
      documents.filter((document) => document.className === className),
      { path, className },
    ),
  );
  const together = (split: "train" | EvalSplit) => shuffled(parts.flatMap((part) => part[split]));
  const splits = { train: together("train"), valid: together("valid"), test: together("test") };
  return { classNames, splits, identity: identityOf(documents, splits) };
}

type Document = LabelledDocument & Found;

/** Where files stand in the folders of classes and splits, which may themselves be in a folder. */
function placed(files: readonly DataFile[]): (Found & { readonly file: DataFile })[] {
  const folders = files.map(({ name }) => name.split("/").slice(0, -1));
  const hasSplits = folders.some((parts) => parts.some((part) => splitOf(part) === "train"));
  // Folders that all documents are in are none of a class.
  const deep = folders.filter((parts) => parts.length > 0);
  let outer = 0;
  while (deep.some((parts) => parts.length > outer + 1) && new Set(deep.map((parts) => parts[outer])).size === 1)
    outer++;
  return files.flatMap((file, i) => {
    const parts = folders[i]!;
    const at = hasSplits ? parts.findIndex((part) => splitOf(part) !== undefined) : outer - 1;
    const className = parts[at + 1];
    if (className === undefined || (hasSplits && at < 0)) return [];
    return [{ file, name: file.name, className, split: hasSplits ? splitOf(parts[at]!) : undefined }];
  });
}

function splitOf(folder: string): "train" | EvalSplit | undefined {
  const name = folder.toLowerCase();
  return Object.hasOwn(splitNames, name) ? splitNames[name] : undefined;
}

function classesIn(found: readonly Found[], given: ReadonlySet<string>, path: string, note: Note): string[] {
  const all = [...new Set(found.map(({ className }) => className))].sort();
  const complete = all.filter((className) =>
    [...given].every((split) => found.some((one) => one.className === className && one.split === split)),
  );
  for (const className of all.filter((name) => !complete.includes(name)))
    note(`${path}: class ${className} is passed over; it is not in all of ${[...given].join(", ")}`);
  if (complete.length >= 2) return complete;
  throw new FileError(
    path,
    `expected a folder of documents for each of two or more classes, found ${complete.length === 0 ? "none" : `only ${complete[0]}`}`,
  );
}

function documentsOf(
  found: readonly (Found & { readonly file: DataFile })[],
  classNames: readonly string[],
  path: string,
  note: Note,
): Document[] {
  let skipped = 0;
  const documents = found.flatMap(({ file, ...place }) => {
    const label = classNames.indexOf(place.className);
    if (label < 0) return [];
    const bytes = file.read();
    const isText = bytes.length > 0 && !bytes.includes(0);
    if (!isText) skipped++;
    return isText ? [{ ...place, bytes, label }] : [];
  });
  if (skipped > 0) note(`${path}: ${skipped} files passed over, which are empty or no text`);
  return documents;
}

/** The documents of one class, split by split. */
function splitClass(
  documents: readonly Document[],
  about: { path: string; className: string },
): Splits<readonly Document[]> {
  const own = (split: "train" | EvalSplit): Document[] => documents.filter((document) => document.split === split);
  const [hasValid, hasTest] = [own("valid").length > 0, own("test").length > 0];
  const spread = tenths(documents.some(({ split }) => split !== undefined) ? own("train") : documents);
  const splits = {
    train: [...spread.train, ...(hasValid ? spread.valid : []), ...(hasTest ? spread.test : [])],
    valid: hasValid ? own("valid") : spread.valid,
    test: hasTest ? own("test") : spread.test,
  };
  const empty = Object.entries(splits).find(([, part]) => part.length === 0);
  if (empty === undefined) return splits;
  throw new FileError(
    about.path,
    `class ${about.className} has too few documents to split: none is left for ${empty[0]}`,
  );
}

function identityOf(documents: readonly Document[], splits: Splits<readonly unknown[]>): string {
  const encoder = new TextEncoder();
  const sum = documents.reduce(
    (sum, { name, bytes }) => crc32c(bytes, crc32c(encoder.encode(`${name} ${bytes.length}\n`), sum)),
    0,
  );
  const counts = [splits.train, splits.valid, splits.test].map(({ length }) => length).join("+");
  return `documents=${counts} crc32c=${sum.toString(16).padStart(8, "0")}`;
}
