import { FileError } from "../../io/file-error.ts";
import { mapSplits, type Splits, shuffled } from "../splits.ts";

/** A chain of a protein, residue by residue. */
export type Protein = {
  /** One letter each, as in FASTA. */
  readonly residues: string;
  /** C, E or H each. */
  readonly structure: string;
  /** Whether the structure is resolved: 0 or 1 each. */
  readonly resolved: string;
};

type Fasta = { readonly path: string; readonly text: string };

/**
 * The proteins of FLIP's files for secondary structure, which are three FASTA files of the same names: the residues, the structure with the
 * split in its header (`>1es5-A SET=train VALIDATION=False`), and which residues are resolved.
 *
 * @throws FileError for a protein that is not in all files, has other lengths in them, letters that mean nothing, or no split
 */
export function readProteins(files: {
  readonly sequences: Fasta;
  readonly labels: Fasta;
  readonly mask: Fasta;
}): Splits<readonly Protein[]> {
  const [sequences, mask] = [recordsOf(files.sequences), recordsOf(files.mask)];
  const splits: Record<keyof Splits<unknown>, Protein[]> = { train: [], valid: [], test: [] };
  const { path } = files.labels;
  for (const [name, { header, letters: structure }] of recordsOf(files.labels)) {
    const [residues, resolved] = [sequences, mask].map((records) => records.get(name)?.letters);
    if (residues === undefined || resolved === undefined)
      throw new FileError(path, `${name} is not in ${(residues === undefined ? files.sequences : files.mask).path}`);
    if (residues.length !== structure.length || resolved.length !== structure.length)
      throw new FileError(
        path,
        `${name} has ${residues.length} residues, ${structure.length} labels and ${resolved.length} marks of what is resolved; expected equally many`,
      );
    requireLetters(path, name, structure, /[^CEH]/, "C, E or H");
    requireLetters(files.mask.path, name, resolved, /[^01]/, "0 or 1");
    splits[splitOf(path, header)].push({ residues, structure, resolved });
  }
  for (const [split, proteins] of Object.entries(splits))
    if (proteins.length === 0) throw new FileError(path, `has no protein for ${split}`);
  return mapSplits(splits, (proteins) => shuffled(proteins));
}

function splitOf(path: string, header: string): keyof Splits<unknown> {
  const [, set] = header.match(/\bSET=(\w+)/) ?? [];
  const isValid = /\bVALIDATION=True\b/.test(header);
  if (set === "train") return isValid ? "valid" : "train";
  if (set === "test") return "test";
  throw new FileError(path, `expected SET=train or SET=test in the header, got ${JSON.stringify(header)}`);
}

function requireLetters(path: string, name: string, letters: string, other: RegExp, expected: string): void {
  const [wrong] = letters.match(other) ?? [];
  if (wrong !== undefined) throw new FileError(path, `${name}: expected ${expected}, got ${JSON.stringify(wrong)}`);
}

function recordsOf({ path, text }: Fasta): Map<string, { readonly header: string; readonly letters: string }> {
  const records = new Map<string, { header: string; letters: string }>();
  for (const part of text.split(/^>/m).slice(1)) {
    const [header = "", ...lines] = part.split(/\r?\n/);
    const name = header.split(/\s/)[0]!;
    if (records.has(name)) throw new FileError(path, `${name} is there twice`);
    records.set(name, { header, letters: lines.join("").trim() });
  }
  if (records.size === 0) throw new FileError(path, "expected FASTA, lines that begin with > and name a protein");
  return records;
}
