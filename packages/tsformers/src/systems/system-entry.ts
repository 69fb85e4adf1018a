import type { Concrete, RandomKey } from "@tsformers/engine";
import type { Pattern } from "../kinds/index.ts";
import type { Choice } from "../run/catalogue.ts";
import type { RunConfigInput } from "../run/config.ts";
import type { Published } from "../schema/entry.ts";

/** What systems are for, in the order of the catalogue. */
export const systemCategories = [
  "translation",
  "pre-training",
  "language model",
  "positions",
  "memory",
  "retrieval",
  "adaptive depth",
  "long inputs",
  "learned patterns",
  "kernels and low rank",
  "linear recurrences",
  "synthetic attention",
  "pictures",
  "sets",
  "reinforcement learning",
] as const;

export type SystemCategory = (typeof systemCategories)[number];

/** A system at one size. */
export type Preset = {
  /** What it is and where its figures come from: `enwik8, 12 layers (table 3)`. */
  readonly about: string;
  /** Settings of a run, as `tsformers train --config` reads them. */
  readonly run: RunConfigInput & { readonly model: Choice };
  readonly vocabularySize: number;
  /** Parameters as the source tells them: `44M`. Absent where it tells none. */
  readonly published?: string;
};

/** What a count of parameters depends on: the settings of a preset's model, with the usual ones filled in. */
export type Sizes = {
  readonly vocabularySize: number;
  readonly length: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  readonly ffnWidth: number;
};

/** What a system says of its idea; entries of models, depths and position schemes say the same. */
export type AboutSystem<Name extends string = string> = Published & {
  readonly name: Name;
  readonly title: string;
  readonly summary: string;
  /** Of the part that makes it what it is, for n positions. */
  readonly cost: string;
};

/**
 * A published system as a whole: what it is put together from, at which sizes, what it is for, and what proves it. Data only: the model
 * is in its own file, and an example trains it.
 */
export type SystemEntry<Name extends string = string> = AboutSystem<Name> & {
  readonly category: SystemCategory;
  /** Whether outputs depend on earlier inputs only. */
  readonly causal: boolean;
  /** The work that it is for, in a sentence. */
  readonly use: string;
  /** What a position sees, in words. */
  readonly sees: string;
  /** The same as a picture over so many positions. Default: the patterns of the layers of the small preset. */
  readonly picture?: (length: number) => readonly { readonly title: string; readonly pattern: Pattern }[];
  /** How it differs from the paper, in sentences. */
  readonly differs: readonly string[];
  /** `small` trains within minutes on two cores; `paper` is the published one. */
  readonly presets: { readonly small: Preset; readonly paper: Preset };
  /** The published number of parameters as a formula. */
  parameters(sizes: Sizes, model: Choice): number;
  /** Initial parameters, for what is no model of the catalogue. Default: those of the preset's model. */
  init?(preset: Preset, key: RandomKey): Concrete<unknown>;
  /** Fixtures that `verify` compares it with. */
  readonly golden: readonly string[];
  /** Its file below `src/`. */
  readonly source: string;
  /** The file below `examples/systems/` that proves it, without its ending. */
  readonly example: string;
  /** Examples of other work that it is for. Absent: none. */
  readonly moreExamples?: readonly string[];
};

/** The entry of a system. @param about where the idea is told already: the entry of its model, depth or position scheme */
export function systemEntry<Name extends string>(
  { name, title, year, paper, summary, formula, cost }: AboutSystem<Name>,
  own: Omit<SystemEntry<Name>, keyof AboutSystem>,
): SystemEntry<Name> {
  return { name, title, year, paper, summary, formula, cost, ...own };
}
