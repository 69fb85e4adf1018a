import { type Flag, flagName } from "../run/flags.ts";
import type { SchemaNode } from "../schema/schema-tree.ts";

/** The heading under which a flag stands in the help. */
export function headingOf({ path }: Flag): string {
  if (path[0] === "task") return "Task:";
  if (path[0] === "model") return isOfPart({ path }) ? "Parts of the model:" : "Model:";
  return "Training:";
}

/** Whether a flag chooses a part of the model, or is a setting of one. */
function isOfPart({ path }: Pick<Flag, "path">): boolean {
  return path.length > 2;
}

/** Parts and tasks have many settings: the help of a command names them, and `describe` their settings. Of tasks those of texts are shown. */
export function isShown(flag: Flag): boolean {
  if (flag.kinds !== undefined) return true;
  return flag.path[0] === "task" ? flag.nodes.has("text") : !isOfPart(flag);
}

/**
 * `--layers <n>`
 *
 * @param kind whose setting it is, where kinds differ. Default: the first that has it
 */
export function flagTerm(flag: Flag, kind?: string): string {
  return [flagName(flag), valueWord(flag, kind)].filter((word) => word !== "").join(" ");
}

/** What stands for a flag's value: `<n>`, `<name>`, `[true|false]`. */
export function valueWord({ kinds, nodes }: Flag, kind?: string): string {
  if (kinds !== undefined) return "<name>";
  const node = nodeOf(nodes, kind);
  if (node.type === "boolean") return "[true|false]";
  const words = new Set((node.anyOf ?? [node]).map(wordOf));
  return `<${[...words].join("|")}>`;
}

function wordOf({ type, items, enum: names }: SchemaNode): string {
  if (type === "array") {
    const item = wordOf(items ?? {});
    return items?.type === "array" ? "json" : item === "n" ? "n,n,…" : "a,b,…";
  }
  if (type === "integer") return "n";
  if (type === "number") return "x";
  if (type === "null") return "none";
  return names === undefined ? "text" : "name";
}

/**
 * What a flag sets: description, names that it takes, its default and the kinds that have it.
 *
 * @param all the flags among which it stands
 */
export function flagText(flag: Flag, all: readonly Flag[]): string {
  const { description, kinds, nodes, path } = flag;
  // Of settings that tasks share, those of texts are told here.
  if (kinds === undefined && path[0] === "task" && nodes.has("text"))
    return `${flagTextOf(flag, "text")}${nodes.size > 1 ? "; of other tasks `describe` tells" : "; with text"}`;
  const names = kinds ?? [...new Set([...nodes.values()].flatMap(namesOf))];
  const beside = all.find((one) => one.path.join() === [...path.slice(0, -1), "kind"].join());
  const some = kinds === undefined && nodes.size < (beside?.kinds?.length ?? 0);
  const example = kinds?.find((kind) => all.some((one) => isSettingOf(one, kind, path)));
  return [
    description,
    ...(names.length === 0 ? [] : [names.join(", ")]),
    ...(some ? [`with ${[...nodes.keys()].join(", ")}`] : []),
    ...((isOfPart({ path }) || path[0] === "task") && example !== undefined
      ? [`\`tsformers describe ${example}\` shows its settings`]
      : []),
  ]
    .join("; ")
    .concat(defaultsText(nodes));
}

/** Whether a flag is a setting of a kind of the choice whose flag has this path. */
function isSettingOf({ path, nodes, kinds }: Flag, kind: string, choice: readonly string[]): boolean {
  return kinds === undefined && path.slice(0, -1).join() === choice.slice(0, -1).join() && nodes.has(kind);
}

/** What a flag sets of one kind. */
export function flagTextOf({ nodes }: Flag, kind: string): string {
  const node = nodeOf(nodes, kind);
  const names = namesOf(node);
  const about = [node.description ?? "", ...(names.length === 0 ? [] : [names.join(", ")])].join("; ");
  return `${about}${defaultsText(new Map([[kind, node]]))}`;
}

function nodeOf(nodes: ReadonlyMap<string, SchemaNode>, kind?: string): SchemaNode {
  return (kind === undefined ? undefined : nodes.get(kind)) ?? [...nodes.values()][0]!;
}

function namesOf(node: SchemaNode): string[] {
  return (node.enum ?? node.items?.enum ?? []).map(String);
}

/** ` (default: 0.1 with adamw, 0 with sgd, lion)` */
function defaultsText(nodes: ReadonlyMap<string, SchemaNode>): string {
  const kindsOf = new Map<string, string[]>();
  for (const [kind, node] of nodes) {
    const text = defaultOf(node);
    if (text !== undefined) kindsOf.set(text, [...(kindsOf.get(text) ?? []), kind]);
  }
  if (kindsOf.size === 0) return "";
  if (kindsOf.size === 1) return ` (default: ${[...kindsOf.keys()][0]})`;
  return ` (default: ${[...kindsOf].map(([text, kinds]) => `${text} with ${kinds.join(", ")}`).join("; ")})`;
}

function defaultOf({ default: standard }: SchemaNode): string | undefined {
  if (standard === undefined) return undefined;
  if (standard === null) return "none";
  if (typeof standard === "object" && "kind" in standard) return String(standard.kind);
  return [standard].flat().join(",");
}
