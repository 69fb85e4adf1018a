import { entryOf } from "../catalogue/catalogue-of.ts";
import { models } from "../catalogue/models.ts";
import { systems } from "../catalogue/systems.ts";
import { parseOptions } from "../schema/parse-options.ts";
import type { Preset, Sizes, SystemEntry } from "../systems/system-entry.ts";
import type { Catalogue } from "./catalogue.ts";
import type { RunConfigInput } from "./config.ts";
import { splitParts } from "./parts.ts";

/** The sizes of a system, small first. */
export const presetNames = ["small", "paper"] as const;

export type PresetName = (typeof presetNames)[number];

/**
 * The settings of a run by the name of a preset: `compressive-transformer`, or `compressive-transformer:paper`.
 *
 * @throws RangeError naming the nearest system, and for a size that is none
 */
export function presetRun(name: string): RunConfigInput {
  const [system, size = "small"] = name.split(":") as [string, string?];
  const { presets } = entryOf(systems as Readonly<Record<string, SystemEntry>>, system);
  if (size !== "small" && size !== "paper")
    throw new RangeError(`${system} has the presets ${presetNames.join(" and ")}, not ${JSON.stringify(size)}`);
  const { run } = presets[size];
  if (!Object.hasOwn(models, run.model.kind))
    throw new RangeError(`${system} is not trained by this command; see docs/systems/${system}.md`);
  return run;
}

/** What the number of parameters of a preset depends on. */
export function sizesOfPreset({ run, vocabularySize }: Preset): Sizes {
  const { options, chosen: _ } = splitParts(run.model);
  const length = run.length ?? 128;
  const entry = (models as unknown as Catalogue)[run.model.kind];
  const given = { ...options, vocabularySize };
  const settings =
    entry === undefined
      ? given
      : parseOptions(
          entry.options(),
          { ...given, ...("length" in entry.options().shape && { length }) },
          run.model.kind,
        );
  const sizes = { length, ...(settings as Readonly<Record<string, unknown>>) } as Sizes & {
    readonly ffnWidth?: number;
  };
  return { ...sizes, ffnWidth: sizes.ffnWidth ?? 4 * sizes.modelWidth };
}
