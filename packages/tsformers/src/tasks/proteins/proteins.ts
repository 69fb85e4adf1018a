import * as z from "zod";
import { FileError } from "../../io/file-error.ts";
import { dataOption, requireData } from "../data-option.ts";
import { documentWindows } from "../document-windows.ts";
import { fingerprintOf } from "../fingerprint.ts";
import { accuracy, loss } from "../metric.ts";
import { rowsView } from "../rows.ts";
import type { Splits } from "../splits.ts";
import { everything } from "../stored-pairs.ts";
import { taggedForm } from "../tagged.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { vocabularyOf } from "../vocabulary.ts";
import { type Protein, readProteins } from "./residues.ts";

const defaults = { length: 512 };

const classes = ["C", "E", "H"];
/** The twenty that genes code for, by their letters. */
const aminoAcids = [..."ACDEFGHIKLMNPQRSTVWY"];
const unknown = 1;

/**
 * The secondary structure of proteins: whether each residue is part of a coil (C), a strand (E) or a helix (H). Residues whose structure is not
 * resolved are read, but not scored.
 *
 * A protein that is longer than a row is read in parts. Tokens: 0 padding, 1 any other residue, then the twenty amino acids.
 *
 * @source Dallago et al. 2021, "FLIP: Benchmark tasks in fitness landscape inference for proteins", bioRxiv 2021.11.09.467890; its data for
 * secondary structure, with three classes and its own splits
 */
export function proteinsTask(options: {
  readonly proteins: Splits<readonly Protein[]>;
  /** Default: 512. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
}): Task<Required<Pick<TaskViews, "tagged">>> {
  const { proteins, length = defaults.length, seed = 0 } = options;
  const vocabulary = vocabularyOf(["-", "X", ...aminoAcids]);
  const known = new Set(aminoAcids);
  return {
    name: "proteins",
    vocabularySize: vocabulary.size,
    length,
    metrics: [{ ...loss, label: "loss (nats per residue)" }, accuracy],
    symbolOf: vocabulary.symbolOf,
    fingerprint: `proteins ${fingerprintOf(proteins)} seed=${seed}`,
    views: {
      tagged: {
        classes: classes.length,
        classNames: classes,
        ...rowsView({
          name: "proteins",
          length,
          limit: everything,
          form: taggedForm,
          source: documentWindows({
            seed,
            splits: proteins,
            lengthOf: ({ residues }) => residues.length,
            row: ({ document, start, end }) => ({
              inputs: [...document.residues.slice(start, end)].map((letter) =>
                known.has(letter) ? vocabulary.encode([letter])[0]! : unknown,
              ),
              targets: [...document.structure.slice(start, end)].map((letter) => classes.indexOf(letter)),
              weights: [...document.resolved.slice(start, end)].map(Number),
            }),
          }),
        }),
      },
    },
  };
}

export type ProteinsSettings = { readonly data?: string; readonly length?: number; readonly seed?: number };

const files = { sequences: "sequences.fasta", labels: "sampled.fasta", mask: "mask.fasta" };

export const proteinsEntry: TaskEntry<"proteins", ProteinsSettings> = /* @__PURE__ */ taskEntry({
  name: "proteins",
  title: "Protein structure",
  category: "data",
  summary: "tell coil, strand and helix at each residue of a protein (FLIP, secondary structure)",
  options: () =>
    z.strictObject({
      data: dataOption(`splits.zip of FLIP's secondary structure, or a folder with ${Object.values(files).join(", ")}`),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: async ({ data, ...rest }) => {
    const path = requireData("proteins", data, "splits.zip of FLIP's secondary structure, or of its folder");
    const { readDataTexts } = await import("#files");
    const isNamed = (name: string, wanted: string): boolean => name.split("/").at(-1) === wanted;
    const found = readDataTexts(path, (name) => Object.values(files).some((wanted) => isNamed(name, wanted)));
    const file = (wanted: string) => {
      const [one, other] = found.filter(({ name }) => isNamed(name, wanted));
      if (one === undefined) throw new FileError(path, `expected a file ${wanted} in it`);
      if (other !== undefined) throw new FileError(path, `has two files ${wanted}: ${one.name}, ${other.name}`);
      return one;
    };
    const [sequences, labels, mask] = [file(files.sequences), file(files.labels), file(files.mask)];
    return proteinsTask({ proteins: readProteins({ sequences, labels, mask }), ...rest });
  },
});
