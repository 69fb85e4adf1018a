import { canonicalJson } from "../run/canonical-json.ts";
import { parseRunConfig, type RunConfig, spelledOut } from "../run/config.ts";
import { type Flag, type GivenFlags, misplacedFlags, withFlags } from "../run/flags.ts";
import { mergedSettings } from "../run/merge-settings.ts";
import { partRefusal } from "../run/parts.ts";
import { taskLabels, variantLabels } from "./labels.ts";

/** A variant on a task. */
export type Cell = {
  /** Tells tasks of a comparison apart: `listops`, `recall · keys=64`. */
  readonly task: string;
  /** Tells variants on a task apart; equal on all tasks. */
  readonly variant: string;
  readonly config: RunConfig;
  /** What a search chooses from; `config` alone where nothing is searched. */
  readonly candidates: readonly Candidate[];
};

export type Candidate = {
  /** What was tried, by the names of flags. */
  readonly settings: Readonly<Record<string, string>>;
  readonly config: RunConfig;
};

/** A setting that is varied, with its values as they stand on a command line. */
export type Axis = { readonly flag: Flag; readonly values: readonly string[] };

/** What all cells share. */
export type Shared = {
  /** Of a file. */
  readonly settings: unknown;
  /** What suits a task, where nothing else is said. */
  standard(task: { readonly kind: string; readonly data?: unknown; readonly length?: number | undefined }): unknown;
  /** Flags on top of them. */
  readonly given: GivenFlags;
  /** Values that a search tries, one set of flags each. Empty: nothing is searched. */
  readonly searched: readonly GivenFlags[];
  readonly flags: readonly Flag[];
  /** Where all that comes from, and what a setting is called there, for errors. */
  readonly source: string;
  readonly nameOf: (path: readonly string[]) => string;
};

export type Cells = {
  readonly cells: readonly Cell[];
  /** What does nothing in some of them, one sentence each. */
  readonly notes: readonly string[];
};

/**
 * The cells of a comparison: each combination of the values of axes, with each partial configuration of a list. What the list says goes over what
 * all share. A setting that has no place in a combination (a position in a model that has its own) is left away there; combinations that then
 * are the same are one cell.
 *
 * @param partials Default: one that says nothing
 * @throws RangeError for a flag that has no place in any combination; ConfigError for a wrong setting
 */
export function cellsOf(
  shared: Shared,
  axes: readonly Axis[],
  partials: readonly Readonly<Record<string, unknown>>[] = [{}],
): Cells {
  const combinations = axes.reduce<GivenFlags[]>(
    (before, { flag, values }) => before.flatMap((one) => values.map((value) => new Map([...one, [flag, value]]))),
    [new Map()],
  );
  const drafts = partials.flatMap((partial, i) =>
    combinations.map((combination) => ({
      name: [
        ...(partials.length === 1 ? [] : [`variant ${i + 1}`]),
        ...[...combination].map(([{ name, short }, value]) => `${short ?? name}=${value}`),
      ].join(", "),
      source: partials.length === 1 ? shared.source : `${shared.source}, variant ${i + 1}`,
      given: new Map([...shared.given, ...combination]),
      partial: spelledOut(partial) as typeof partial,
    })),
  );
  return assembled(shared, drafts);
}

type Draft = {
  /** `variant 2, mixer=softmax` */
  readonly name: string;
  readonly source: string;
  readonly given: GivenFlags;
  readonly partial: Readonly<Record<string, unknown>>;
};

function assembled(shared: Shared, drafts: readonly Draft[]): Cells {
  const used = new Set<Flag>();
  const idle = new Map<Flag, string>();
  const configOf = (draft: Draft): { config: RunConfig; isWhole: boolean } => {
    const { settings, given, misplaced } = placed(shared, draft);
    for (const flag of given.keys()) used.add(flag);
    for (const [flag, reason] of misplaced) idle.set(flag, reason);
    return { config: parseRunConfig(settings, draft.source, shared.nameOf), isWhole: misplaced.size === 0 };
  };
  const found = new Map<string, Omit<Cell, "task" | "variant"> & { readonly name: string }>();
  const doubles: string[] = [];
  for (const draft of drafts) {
    const { config, isWhole } = configOf(draft);
    const key = canonicalJson(config);
    const same = found.get(key);
    if (same !== undefined) {
      // Where a setting was left away, that is said already.
      if (isWhole) doubles.push(`${draft.name} is the same as ${same.name}: it is compared once`);
      continue;
    }
    const candidates = new Map<string, Candidate>();
    for (const tried of shared.searched.length === 0 ? [new Map<Flag, string>()] : shared.searched) {
      const { config: own } = configOf({ ...draft, given: new Map([...draft.given, ...tried]) });
      const settings = Object.fromEntries([...tried].map(([{ name, short }, text]) => [short ?? name, text]));
      candidates.set(canonicalJson(own), { settings, config: own });
    }
    found.set(key, { name: draft.name, config, candidates: [...candidates.values()] });
  }
  const useless = [...idle].filter(([flag]) => !used.has(flag)).map(([, reason]) => reason);
  if (useless.length > 0) throw new RangeError(useless.join("\n"));
  return {
    cells: labelled([...found.values()].map(({ name: _, ...cell }) => cell)),
    notes: [...idle.values(), ...doubles],
  };
}

/** Cells in order of their tasks, each with its labels. */
function labelled(cells: readonly Omit<Cell, "task" | "variant">[]): Cell[] {
  const groups = new Map<string, Omit<Cell, "task" | "variant">[]>();
  for (const cell of cells) {
    const key = canonicalJson(taskPart(cell.config));
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  const tasks = taskLabels([...groups.values()].map(([first]) => taskPart(first!.config)));
  return [...groups.values()].flatMap((group, i) => {
    const variants = variantLabels(group.map(({ config }) => config));
    return group.map((cell, j) => ({ task: tasks[i]!, variant: variants[j]!, ...cell }));
  });
}

/** What a task is told apart by: rows of another length are another task. */
function taskPart({ task, length }: RunConfig): Pick<RunConfig, "task" | "length"> {
  return { task, length };
}

/** The settings of a draft, with the flags that have a place in it. */
function placed(
  shared: Shared,
  { given: all, partial }: Draft,
): { readonly settings: unknown; readonly given: GivenFlags; readonly misplaced: Map<Flag, string> } {
  const { flags } = shared;
  const base = mergedSettings(shared.standard(taskOf(shared, { given: all, partial })), shared.settings);
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

/** The task of a draft, as far as defaults depend on it. */
function taskOf(
  { settings }: Shared,
  { given, partial }: Pick<Draft, "given" | "partial">,
): { readonly kind: string; readonly data?: unknown; readonly length?: number | undefined } {
  const flagged = (path: string) => [...given].find(([flag]) => flag.path.join(".") === path)?.[1];
  const said = [partial, settings].filter((one) => typeof one === "object" && one !== null) as Settings[];
  const inTask = (name: string) =>
    said.map(({ task }) => (typeof task === "object" && task !== null ? (task as Settings)[name] : undefined));
  const first = (values: readonly unknown[]) => values.find((value) => value !== undefined);
  const length = Number(first([flagged("length"), ...said.map((one) => one.length)]));
  return {
    kind: String(first([inTask("kind")[0], flagged("task.kind"), inTask("kind")[1]]) ?? "text"),
    data: first([inTask("data")[0], flagged("task.data"), inTask("data")[1]]),
    // What is no length is left to the schema.
    ...(Number.isSafeInteger(length) && length > 0 && { length }),
  };
}

type Settings = Readonly<Record<string, unknown>>;
