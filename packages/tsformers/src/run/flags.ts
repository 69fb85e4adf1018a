import type * as z from "zod";
import { alternatives } from "../schema/explain.ts";
import { kebab } from "../schema/kebab.ts";
import { type SchemaNode, schemaTree } from "../schema/schema-tree.ts";
import { settingValue, splitList, unbracketed } from "../schema/setting-value.ts";
import type { Choice } from "./catalogue.ts";

/** A command-line flag made from one place of a configuration's schema. */
export type Flag = {
  /** `model.model-width`, `mixer.redraw-every`, without the dashes. */
  readonly name: string;
  /** What settings of the task and the model are also called: `model-width`. */
  readonly short?: string;
  /** Where its value goes: `["steps"]`, `["model", "layers"]`, `["model", "mixer", "features"]`; of a choice its kind, `["model", "mixer", "kind"]`. */
  readonly path: readonly string[];
  /** What it takes, by the kind that it is a setting of; under "" where it stands at the top of the configuration. */
  readonly nodes: ReadonlyMap<string, SchemaNode>;
  /** The kinds of a choice. */
  readonly kinds?: readonly string[];
  /** Whether each layer may have another kind. */
  readonly perLayer?: true;
  readonly description: string;
};

/** Flags with what was given for them, as it was written. */
export type GivenFlags = ReadonlyMap<Flag, string>;

/** Choices whose settings have short names, too. No short name may mean two things. */
const shortened: ReadonlySet<string> = new Set(["task", "model"]);

/** Whether the settings of a choice have short names, too. */
export function isShortened(choice: string): boolean {
  return shortened.has(choice);
}

/**
 * The flags of a configuration, in the schema's order: one for every setting, called by its place. A plain setting is `--steps`, a choice
 * `--model KIND` and `--model.layers`; a choice inside a choice is called by its own name, `--mixer KIND` and `--mixer.features`.
 */
export function flagsOf(schema: z.ZodType): Flag[] {
  return Object.entries(schemaTree(schema).properties ?? {}).flatMap(([name, node]) =>
    isChoice(node) ? choiceFlags([name], new Map([["", node]])) : [plainFlag([name], name, new Map([["", node]]))],
  );
}

function isChoice(node: SchemaNode): boolean {
  return alternatives(node).length > 0;
}

function plainFlag(path: readonly string[], name: string, nodes: ReadonlyMap<string, SchemaNode>): Flag {
  return { name: kebab(name), path, nodes, description: descriptionOf(nodes) };
}

/**
 * The flag of a choice, and those of its kinds' settings.
 *
 * @param nodes of the choice, by the kinds of the choice that it stands in
 */
function choiceFlags(path: readonly string[], nodes: ReadonlyMap<string, SchemaNode>): Flag[] {
  const name = path.at(-1)!;
  const members = new Map(
    [...nodes.values()].flatMap(alternatives).map((member) => [String(member.properties?.kind?.const), member]),
  );
  const settings = new Map<string, Map<string, SchemaNode>>();
  for (const [kind, { properties = {} }] of members) {
    // What only a file can say, such as the settings of a checkpoint, has no flags.
    if (Object.values(properties).some((node) => node.type === "object" && !isChoice(node))) {
      members.delete(kind);
      continue;
    }
    for (const [setting, node] of Object.entries(properties)) {
      if (setting === "kind") continue;
      settings.set(setting, (settings.get(setting) ?? new Map<string, SchemaNode>()).set(kind, node));
    }
  }
  const isList = [...nodes.values()].some(({ anyOf = [] }) => anyOf.some(({ type }) => type === "array"));
  const own: Flag = {
    name: kebab(name),
    path: [...path, "kind"],
    nodes,
    kinds: [...members.keys()],
    description: descriptionOf(nodes),
    ...(isList && { perLayer: true as const }),
  };
  const all = [...settings];
  const plain = all.filter(([, of]) => !isChoice([...of.values()][0]!));
  const nested = all.filter((entry) => !plain.includes(entry));
  return [
    own,
    ...plain.map(([setting, of]) => ({
      ...plainFlag([...path, setting], `${name}.${setting}`, of),
      ...(shortened.has(name) && { short: kebab(setting) }),
    })),
    ...nested.flatMap(([setting, of]) => choiceFlags([...path, setting], of)),
  ];
}

function descriptionOf(nodes: ReadonlyMap<string, SchemaNode>): string {
  return [...nodes.values()][0]?.description ?? "";
}

/** What a flag is called where it is shown: by its short name where it has one. */
export function flagName({ name, short }: Flag): string {
  return `--${short ?? name}`;
}

/** The flag of a name, short or not, in kebab or camel case, without dashes. */
export function flagNamed(flags: readonly Flag[], typed: string): Flag | undefined {
  const wanted = kebab(typed);
  return flags.find(({ name, short }) => name === wanted || short === wanted);
}

/** Settings of which nothing is known yet but that they are an object. */
type Settings = Readonly<Record<string, unknown>>;

function isSettings(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A configuration with the given settings on top. A setting of a choice goes to every kind of it that has one of that name.
 *
 * Naming another kind drops the settings of the one before.
 *
 * @param options.sharing a model that takes the place of another keeps the settings that it has, too
 */
export function withFlags(
  config: unknown,
  flags: readonly Flag[],
  given: GivenFlags,
  options: { readonly sharing?: true } = {},
): Settings {
  let settings: Settings = isSettings(config) ? config : {};
  for (const flag of flags) {
    const text = given.get(flag);
    if (text === undefined) continue;
    const setting = flag.path.at(-1)!;
    const value = (kind: string) => settingValue(text, flag.nodes.get(kind)!);
    if (flag.path.length === 1) {
      settings = { ...settings, [setting]: value("") };
      continue;
    }
    settings = changed(settings, flag.path.slice(0, -1), flags, (before) => {
      if (flag.kinds !== undefined) return kindsIn(text, flag, before, options.sharing ? flags : []);
      return forEach(before, (choice) =>
        flag.nodes.has(choice.kind) ? { ...choice, [setting]: value(choice.kind) } : choice,
      );
    });
  }
  return settings;
}

/** Settings in which what stands at a path is another. Choices on the way that are not there are the usual ones. */
function changed(
  settings: Settings,
  path: readonly string[],
  flags: readonly Flag[],
  change: (before: unknown) => unknown,
  above: readonly string[] = [],
): Settings {
  const [name, ...rest] = path as [string, ...string[]];
  const before = settings[name] ?? usualOf(flags, [...above, name]);
  const inner = isSettings(before) ? before : {};
  const after = rest.length === 0 ? change(before) : changed(inner, rest, flags, change, [...above, name]);
  return after === undefined ? settings : { ...settings, [name]: after };
}

function usualOf(flags: readonly Flag[], path: readonly string[]): unknown {
  const flag = flags.find((one) => one.path.join() === [...path, "kind"].join());
  return flag?.nodes.get("")?.default;
}

/** A choice, or the choices of several layers, each changed; anything else is left to the schema. */
function forEach(before: unknown, change: (choice: Choice) => Choice): unknown {
  if (Array.isArray(before)) return before.map((one) => forEach(one, change));
  return isChosen(before) ? change(before) : before;
}

function isChosen(value: unknown): value is Choice {
  return isSettings(value) && typeof value.kind === "string";
}

const mostLayers = 1000;

/** The choice that a text names, `performer`, or one for each layer, `local*2,routing*2`; with the settings that kinds had before. */
function kindsIn(text: string, flag: Flag, before: unknown, sharing: readonly Flag[]): unknown {
  const chosen = [before].flat().filter(isChosen);
  const choiceOf = (kind: string): Choice =>
    chosen.find((choice) => choice.kind === kind) ?? { ...sharedWith(kind, chosen[0], flag, sharing), kind };
  if (flag.perLayer === undefined || !/[,*[]/.test(text)) return choiceOf(text);
  return splitList(unbracketed(text)).flatMap((item) => {
    const [, kind = item, times = "1"] = /^(.+)\*(\d+)$/.exec(item) ?? [];
    if (Number(times) < 1) throw new RangeError(`${flagName(flag)}: expected at least 1 layer, got ${item}`);
    if (Number(times) > mostLayers)
      throw new RangeError(`${flagName(flag)}: expected at most ${mostLayers} layers, got ${item}`);
    return Array.from({ length: Number(times) }, () => choiceOf(kind));
  });
}

/** Settings of a choice that another kind has, too. */
function sharedWith(kind: string, before: Choice | undefined, { path }: Flag, flags: readonly Flag[]): Settings {
  if (before === undefined || path.length !== 2 || !shortened.has(path[0]!)) return {};
  const isOwn = (flag: Flag) => flag.path[0] === path[0] && flag.path.length === (flag.kinds === undefined ? 2 : 3);
  const known = flags.filter((flag) => isOwn(flag) && flag.nodes.has(kind)).map((flag) => flag.path[1]);
  return Object.fromEntries(Object.entries(before).filter(([setting]) => known.includes(setting)));
}

/** A hint at settings of the same name that stand elsewhere: empty if there is none. */
export function namesakes(flag: Flag, flags: readonly Flag[]): string {
  const setting = flag.path.at(-1);
  const names = flags.filter((other) => other !== flag && other.path.at(-1) === setting && other.kinds === undefined);
  return names.length === 0 ? "" : `; did you mean ${names.map(flagName).join(" or ")}?`;
}

/**
 * Flags that were given although what is chosen has no such setting. Where a kind is chosen that there is not, nothing is said of its settings: the
 * schema names the kind.
 *
 * @param refusal what is said of a choice that a kind does not leave open
 * @returns one sentence for each
 */
export function misplacedFlags(
  config: unknown,
  flags: readonly Flag[],
  given: Iterable<Flag>,
  refusal: (kind: string, choice: string) => string,
): Map<Flag, string> {
  const misplaced = new Map<Flag, string>();
  const chosenAt = (path: readonly string[]): Choice[] => {
    const value = path.reduce<unknown>((inner, name) => (isSettings(inner) ? inner[name] : undefined), config);
    return [value ?? usualOf(flags, path)].flat().filter(isChosen);
  };
  const isUnknown = (path: readonly string[]): boolean => {
    const nodes = flags.find((one) => one.path.join() === [...path, "kind"].join())!.nodes;
    const members = [...nodes.values()].flatMap(alternatives).map(({ properties }) => properties?.kind?.const);
    return chosenAt(path).some(({ kind }) => !members.includes(kind));
  };
  for (const flag of given) {
    const depth = flag.kinds === undefined ? 1 : 2;
    const place = flag.path.slice(0, -depth);
    if (place.length === 0 || place.some((_, i) => isUnknown(place.slice(0, i + 1)))) continue;
    const chosen = chosenAt(place);
    if (chosen.some(({ kind }) => flag.nodes.has(kind))) continue;
    const owner = place.at(-1)!;
    const kinds = [...flag.nodes.keys()];
    const name = flagName(flag);
    if (chosen.length === 0) misplaced.set(flag, `${name} needs --${kebab(owner)} ${kinds.join(" or ")}`);
    else if (flag.kinds !== undefined) misplaced.set(flag, `${name}: ${refusal(chosen[0]!.kind, flag.path.at(-2)!)}`);
    else {
      const has = [...new Set(chosen.map(({ kind }) => kind))].join(", ");
      misplaced.set(
        flag,
        `${name} does not go with ${owner} ${has}; it is an option of ${kinds.join(", ")}${namesakes(flag, flags)}`,
      );
    }
  }
  return misplaced;
}
