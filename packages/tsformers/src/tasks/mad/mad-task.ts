import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { count } from "../../schema/count.ts";
import { type Draw, draws } from "../draws.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { nextForm, type Row } from "../row-forms.ts";
import { generatedRows, rowsView } from "../rows.ts";
import type { Batch, Task, TaskView } from "../task.ts";
import { lengthOption, seedOption } from "../task-entry.ts";
import { trainingRowsOption, trainingRowsText } from "../training-rows.ts";
import { madProtocol } from "./protocol.ts";

/** What all six tasks of MAD have in common. */
export type MadOptions = {
  /** V, number of different tokens, marks and noise included. */
  readonly vocabulary?: number;
  /** L, positions of a training row. */
  readonly length?: number;
  /** Number of different training rows. */
  readonly trainingRows?: number;
  /** Default: 0. */
  readonly seed?: number;
};

/** What a row is for: recall tasks are trained on every next token, but measured on those that can be known. */
export type Purpose = "train" | "eval";

type MadTaskParts<Settings> = {
  readonly name: string;
  readonly settings: Settings;
  readonly view: "next" | "reconstructed";
  readonly symbolOf: (token: number) => string;
  readonly scoredApart?: true;
  row(draw: Draw, length: number, purpose: Purpose): Row;
};

/** A task of MAD: its fingerprint names all of its settings but the length. An evaluation scores all of 1,280 rows, as published. */
export function madTask<Settings extends Required<MadOptions>>(
  parts: MadTaskParts<Settings> & { readonly view: "next" },
): Task<{ readonly next: TaskView<Batch> }>;
export function madTask<Settings extends Required<MadOptions>>(
  parts: MadTaskParts<Settings> & { readonly view: "reconstructed" },
): Task<{ readonly reconstructed: TaskView<Batch> }>;
export function madTask<Settings extends Required<MadOptions>>(parts: MadTaskParts<Settings>): Task {
  const { name, settings, view, row, ...rest } = parts;
  const { length, trainingRows, seed, vocabulary } = settings;
  const named = Object.entries(settings).filter(([setting]) => setting !== "length");
  return {
    ...rest,
    name,
    vocabularySize: vocabulary,
    length,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    fingerprint: [name, ...named.map(([setting, value]) => `${setting}=${value}`)].join(" "),
    views: {
      [view]: rowsView({
        name,
        length,
        limit: { rows: madProtocol.testRows },
        form: nextForm,
        source: generatedRows((key: RandomKey, rowLength, purpose) => row(draws(key), rowLength, purpose), {
          seed,
          trainingRows,
        }),
      }),
    },
  };
}

/** The settings that all six tasks have. */
export function madOptions(defaults: {
  readonly vocabulary: number;
  readonly length: number;
  readonly trainingRows: number;
}): {
  readonly vocabulary: z.ZodDefault<z.ZodInt>;
  readonly length: z.ZodDefault<z.ZodInt>;
  readonly trainingRows: z.ZodDefault<z.ZodInt>;
  readonly seed: z.ZodDefault<z.ZodInt>;
} {
  return {
    vocabulary: count(1_000_000, "the vocabulary is made in memory", 4)
      .default(defaults.vocabulary)
      .describe("how many different tokens there are, marks and noise included"),
    length: lengthOption(defaults.length),
    trainingRows: trainingRowsOption().default(defaults.trainingRows).describe(trainingRowsText),
    seed: seedOption(),
  };
}

/** A share of something, as a setting. */
export function shareOption(): z.ZodNumber {
  return z.number({ error: "expected a number from 0 to below 1" }).min(0).lt(1);
}
