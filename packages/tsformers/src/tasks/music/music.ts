import * as z from "zod";
import { FileError } from "../../io/file-error.ts";
import { dataOption, requireData } from "../data-option.ts";
import { documentWindows } from "../document-windows.ts";
import { fingerprintOf } from "../fingerprint.ts";
import { maskedView } from "../masked.ts";
import { loss, type Metric, tokenAccuracy } from "../metric.ts";
import { nextForm, type Row } from "../row-forms.ts";
import { rowsView } from "../rows.ts";
import type { Splits } from "../splits.ts";
import { everything } from "../stored-pairs.ts";
import type { Batch, Task, TaskView, TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { type Piece, readChorales } from "./chorales.ts";

const defaults = { length: 256 };

const voices = 4;
/** Before the first note of a piece, and padding. */
const start = 0;
const silence = 1;
/** Pitch 0 of MIDI. */
const firstPitch = 2;

/** How frames of four voices are often scored; see Boulanger-Lewandowski et al. 2012, arXiv:1206.6392. */
const lossOfStep: Metric = {
  name: "stepLoss",
  label: "loss (nats per sixteenth)",
  better: "lower",
  value: (totals) => voices * loss.value(totals),
};

/**
 * Chorales of four voices as one sequence: soprano, alto, tenor and bass of each sixteenth, one after the other. A note that is held is written
 * again in each sixteenth.
 *
 * A row is a part of one piece and begins at a sixteenth. Before its first note stands the note before, or the token that begins a piece.
 * Tokens: 0 the beginning, 1 silence, then the 128 pitches of MIDI.
 *
 * @source Huang et al. 2019, "Music Transformer", §4.1 (JSB chorales), arXiv:1809.04281
 */
export function musicTask(options: {
  readonly pieces: Splits<readonly Piece[]>;
  /** Default: 256, which is 64 sixteenths. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
}): Task<Required<Pick<TaskViews, "next" | "masked">>> {
  const { pieces, length = defaults.length, seed = 0 } = options;
  const view = (row: (before: number, notes: readonly number[]) => Row): TaskView<Batch> =>
    rowsView({
      name: "music",
      length,
      limit: everything,
      form: nextForm,
      source: documentWindows({
        seed,
        splits: pieces,
        lengthOf: (piece) => piece.length,
        fits: stepsIn,
        row: ({ document, start: from, end }) => {
          const before = from === 0 ? start : tokenOf(document[from - 1]!.at(-1)!);
          return row(before, document.slice(from, end).flat().map(tokenOf));
        },
      }),
    });
  const vocabularySize = firstPitch + 128;
  return {
    name: "music",
    vocabularySize,
    length,
    metrics: [{ ...loss, label: "loss (nats per note)" }, lossOfStep, tokenAccuracy],
    symbolOf: noteName,
    fingerprint: `music ${fingerprintOf(pieces)} seed=${seed}`,
    views: {
      next: view((before, notes) => scoredAll([before, ...notes.slice(0, -1)], notes)),
      masked: maskedView(
        view((_, notes) => scoredAll(notes, notes)),
        { vocabularySize, seed },
      ),
    },
  };
}

function scoredAll(inputs: readonly number[], targets: readonly number[]): Row {
  return { inputs, targets, weights: targets.map(() => 1) };
}

/** How many sixteenths fit a row. */
function stepsIn(length: number): number {
  if (length < voices) throw new RangeError(`music: a sixteenth has ${voices} notes, got a length of ${length}`);
  return Math.floor(length / voices);
}

function tokenOf(pitch: number): number {
  return pitch < 0 ? silence : firstPitch + pitch;
}

const pitchClasses = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/** Scientific names of pitches: 60 of MIDI is C4. */
function noteName(token: number): string {
  if (token < firstPitch) return token === start ? "|" : "rest";
  const pitch = token - firstPitch;
  return `${pitchClasses[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
}

export type MusicSettings = { readonly data?: string; readonly length?: number; readonly seed?: number };

export const musicEntry: TaskEntry<"music", MusicSettings> = /* @__PURE__ */ taskEntry({
  name: "music",
  title: "Music",
  category: "data",
  summary: "write chorales of four voices, note by note",
  options: () =>
    z.strictObject({
      data: dataOption(
        "a JSON file of chorales with splits train, valid and test: pieces of sixteenths of four MIDI pitches, -1 for silence",
      ),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: async ({ data, ...rest }) => {
    const path = requireData("music", data, "a JSON file of chorales");
    const { readDataTexts } = await import("#files");
    const [file, other] = readDataTexts(path, (name) => /\.json$/i.test(name));
    if (file === undefined) throw new FileError(path, "expected a file that ends in .json in it");
    if (other !== undefined) throw new FileError(path, `has ${file.name} and ${other.name}; give one of them`);
    return musicTask({ pieces: readChorales(file.text, file.path), ...rest });
  },
});
