import type * as z from "zod";
import { alternatives, type SchemaNode, schemaTree } from "../schema/explain.ts";

/** A command-line flag made from one place of a configuration's schema. */
export type Flag = {
  /** `--model-width`, without the dashes. */
  readonly name: string;
  /** Where its value goes: `["steps"]`, `["task", "kind"]`, or `["model", "layers"]`. */
  readonly path: readonly string[];
  readonly type: "number" | "boolean" | "text" | "list";
  readonly description: string;
  readonly choices?: readonly string[];
  readonly default?: unknown;
  /** Kinds that the flag is for, where it is an option of some kinds only. */
  readonly kinds?: readonly string[];
  /** The heading it stands under in the help. */
  readonly heading: string;
};

/**
 * One flag for every setting of a configuration, in the schema's order: a plain setting is `--its-name`, a choice is
 * `--choice KIND` and one flag for each option of its kinds. Options of that name in two choices carry the choice's name in front.
 */
export function flagsOf(schema: z.ZodType): Flag[] {
  const flags = Object.entries(schemaTree(schema).properties ?? {}).flatMap(([name, node]) => {
    // What only a file can say, such as the settings of a checkpoint, has no flags.
    const members = alternatives(node).filter((member) => !Object.values(member.properties ?? {}).some(isObject));
    return members.length === 0
      ? [plainFlag(name, node)]
      : [choiceFlag(name, node, members), ...optionFlags(name, members)];
  });
  const taken = new Map<string, number>();
  for (const { name } of flags) taken.set(name, (taken.get(name) ?? 0) + 1);
  return flags.map((flag) =>
    flag.kinds !== undefined && taken.get(flag.name)! > 1
      ? { ...flag, name: `${kebab(flag.path[0]!)}-${flag.name}` }
      : flag,
  );
}

function plainFlag(name: string, node: SchemaNode): Flag {
  return { ...valueKindOf(node), name: kebab(name), path: [name], heading: "Training" };
}

function isObject({ type }: SchemaNode): boolean {
  return type === "object";
}

function choiceFlag(name: string, node: SchemaNode, members: readonly SchemaNode[]): Flag {
  return {
    name: kebab(name),
    path: [name, "kind"],
    type: "text",
    description: node.description ?? "",
    choices: members.map(({ properties }) => String(properties?.kind?.const)),
    default: (node.default as { kind?: string } | undefined)?.kind,
    heading: headingOf(name),
  };
}

/** Options of all kinds of a choice; those that several kinds share are one flag. */
function optionFlags(choice: string, members: readonly SchemaNode[]): Flag[] {
  const flags = new Map<string, Flag>();
  for (const { properties = {} } of members) {
    const kind = String(properties.kind?.const);
    for (const [option, node] of Object.entries(properties)) {
      if (option === "kind") continue;
      const known = flags.get(option);
      const kinds = [...(known?.kinds ?? []), kind];
      const flag = known ?? {
        ...valueKindOf(node),
        name: kebab(option),
        path: [choice, option],
        heading: headingOf(choice),
      };
      flags.set(option, { ...flag, kinds });
    }
  }
  return [...flags.values()];
}

function valueKindOf(node: SchemaNode): Pick<Flag, "type" | "description" | "choices" | "default"> {
  const type = flagType(node.type);
  const choices = node.enum ?? (node.items?.enum as readonly string[] | undefined);
  return {
    type,
    description: node.description ?? "",
    ...(choices === undefined ? {} : { choices: choices.map(String) }),
    ...(node.default === undefined ? {} : { default: node.default }),
  };
}

function flagType(type: string | undefined): Flag["type"] {
  if (type === "integer" || type === "number") return "number";
  if (type === "boolean") return "boolean";
  return type === "array" ? "list" : "text";
}

function headingOf(choice: string): string {
  return `${choice[0]!.toUpperCase()}${choice.slice(1)}`;
}

/** `modelWidth` → `model-width` */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * A configuration with the given settings on top. Naming another kind drops the options of the kind before.
 *
 * @param values by flag name, of the flags that were given
 */
export function withFlags(config: unknown, flags: readonly Flag[], values: ReadonlyMap<string, unknown>): unknown {
  const out: Record<string, unknown> = typeof config === "object" && config !== null ? { ...config } : {};
  for (const { name, path } of flags.filter((flag) => values.has(flag.name))) {
    const [first, second] = path as [string, string?];
    const value = values.get(name);
    const before = out[first] as Record<string, unknown> | undefined;
    if (second === undefined) out[first] = value;
    else if (second === "kind") out[first] = before?.kind === value ? before : { kind: value };
    else out[first] = { ...(before ?? { kind: standardKind(flags, first) }), [second]: value };
  }
  return out;
}

function standardKind(flags: readonly Flag[], choice: string): unknown {
  return flags.find(({ path }) => path[0] === choice && path[1] === "kind")?.default;
}

/**
 * Flags that were given although the kind that is in force has no such option.
 * @returns one sentence for each
 */
export function misplacedFlags(config: unknown, flags: readonly Flag[], given: Iterable<string>): string[] {
  const names = new Set(given);
  return flags.flatMap(({ name, path, kinds }) => {
    if (!names.has(name) || kinds === undefined) return [];
    const choice = path[0]!;
    const chosen =
      (config as Record<string, { kind?: string } | undefined>)[choice]?.kind ?? standardKind(flags, choice);
    if (chosen === undefined) return [`--${name} needs --${choice} ${kinds.join(" or ")}`];
    const kind = String(chosen);
    if (kinds.includes(kind)) return [];
    return [`--${name} does not go with ${choice} ${kind}; it is an option of ${kinds.join(", ")}`];
  });
}
