import { canonicalJson } from "../run/canonical-json.ts";
import { parseRunConfig, type RunConfig, spelledOut } from "../run/config.ts";
import { type Flag, type GivenFlags, misplacedFlags, withFlags } from "../run/flags.ts";
import { mergedSettings } from "../run/merge-settings.ts";
import { partRefusal } from "../run/parts.ts";
import { labelsOf } from "./labels.ts";

/** One of the things that are compared. */
export type Variant = { readonly label: string; readonly config: RunConfig };

/** A setting that is varied, with its values as they stand on a command line. */
export type Axis = { readonly flag: Flag; readonly values: readonly string[] };

/** What all variants share. */
export type Shared = {
  /** Of a file, and those that suit the task. */
  readonly settings: unknown;
  /** Flags on top of them. */
  readonly given: GivenFlags;
  readonly flags: readonly Flag[];
  /** Where all that comes from, and what a setting is called there, for errors. */
  readonly source: string;
  readonly nameOf: (path: readonly string[]) => string;
};

export type Variants = {
  readonly variants: readonly Variant[];
  /** What does nothing in some of them, one sentence each. */
  readonly notes: readonly string[];
};

/**
 * A variant for each combination of values. A setting that has no place in a combination (a position in a model that has its own) is left
 * away there; combinations that then are the same are one variant.
 *
 * @throws RangeError for a flag that has no place in any combination; ConfigError for a wrong setting
 */
export function gridVariants(shared: Shared, axes: readonly Axis[]): Variants {
  const combinations = axes.reduce<Map<Flag, string>[]>(
    (before, { flag, values }) => before.flatMap((one) => values.map((value) => new Map([...one, [flag, value]]))),
    [new Map()],
  );
  return assembled(
    shared,
    combinations.map((combination) => ({
      source: shared.source,
      given: new Map([...shared.given, ...combination]),
      partial: {},
    })),
  );
}

/**
 * A variant for each partial configuration. What it says goes over what all share.
 *
 * @throws RangeError for a flag that has no place in any variant; ConfigError for a wrong setting
 */
export function listedVariants(shared: Shared, partials: readonly Readonly<Record<string, unknown>>[]): Variants {
  return assembled(
    shared,
    partials.map((partial, i) => ({
      source: `${shared.source}, variant ${i + 1}`,
      given: shared.given,
      partial: spelledOut(partial) as typeof partial,
    })),
  );
}

type Draft = {
  readonly source: string;
  readonly given: GivenFlags;
  readonly partial: Readonly<Record<string, unknown>>;
};

function assembled(shared: Shared, drafts: readonly Draft[]): Variants {
  const used = new Set<Flag>();
  const idle = new Map<Flag, string>();
  const configs = new Map<string, RunConfig>();
  for (const draft of drafts) {
    const { settings, given, misplaced } = placed(shared, draft);
    for (const flag of given.keys()) used.add(flag);
    for (const [flag, reason] of misplaced) idle.set(flag, reason);
    const config = parseRunConfig(settings, draft.source, shared.nameOf);
    configs.set(canonicalJson(config), config);
  }
  const useless = [...idle].filter(([flag]) => !used.has(flag)).map(([, reason]) => reason);
  if (useless.length > 0) throw new RangeError(useless.join("\n"));
  const all = [...configs.values()];
  const labels = labelsOf(all);
  return { variants: all.map((config, i) => ({ label: labels[i]!, config })), notes: [...idle.values()] };
}

/** The settings of a draft, with the flags that have a place in it. */
function placed(
  { settings: base, flags }: Shared,
  { given: all, partial }: Draft,
): { readonly settings: unknown; readonly given: GivenFlags; readonly misplaced: Map<Flag, string> } {
  const model = flags.find(({ path }) => path.join() === "model,kind")!;
  const { model: own } = partial;
  const kind = typeof own === "object" && own !== null && "kind" in own ? own.kind : undefined;
  // Another model keeps the sizes that all share.
  const sharing = typeof kind === "string" ? withFlags(base, flags, new Map([[model, kind]]), { sharing: true }) : base;
  const under = mergedSettings(sharing, partial);
  const given = new Map(all);
  const misplaced = new Map<Flag, string>();
  for (;;) {
    const settings = mergedSettings(withFlags(under, flags, given, { sharing: true }), partial);
    const wrong = misplacedFlags(settings, flags, given.keys(), partRefusal);
    if (wrong.size === 0) return { settings, given, misplaced };
    for (const [flag, reason] of wrong) {
      misplaced.set(flag, reason);
      given.delete(flag);
    }
  }
}
