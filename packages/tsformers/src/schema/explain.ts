import type * as z from "zod";
import { expectation, suggestion } from "./nearest.ts";
import { type SchemaNode, schemaTree } from "./schema-tree.ts";

/**
 * The problems of a configuration, one sentence each, in the user's terms: where, what was expected, what was given, and for an
 * unknown name the nearest known one.
 *
 * @param nameOf how settings are called in messages. Default: their dotted path in quotes
 */
export function explain(error: z.ZodError, schema: z.ZodType, nameOf: NameOf = quotedPath): string[] {
  const tree = schemaTree(schema);
  return [...new Set(error.issues.flatMap((issue) => sentences(issue, tree, nameOf)))];
}

/** The name of a setting in messages, such as `--layers`. */
export type NameOf = (path: readonly string[]) => string;

function sentences(issue: z.core.$ZodIssue, tree: SchemaNode, inside: NameOf): string[] {
  const path = issue.path.map(String);
  const meant = issuesOfMeant(issue);
  if (meant !== undefined) {
    return meant.flatMap((inner) => sentences({ ...inner, path: [...issue.path, ...inner.path] }, tree, inside));
  }
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(nodeAt(tree, path));
    return issue.keys.map((key) => {
      const near = suggestion(key, known) || (path.length === 0 && placeOf(key, tree)) || listed(known);
      return `unknown setting ${inside([...path, key])}${near}`;
    });
  }
  if (issue.code === "invalid_union" && path.at(-1) === "kind") {
    const known = kindsOf(nodeAt(tree, path.slice(0, -1)));
    const given = issue.input === undefined ? "" : ` ${JSON.stringify(kindIn(issue.input))}`;
    const choice = path.findLast((name, i) => i < path.length - 1 && !isIndex(name));
    return [`unknown ${choice ?? "kind"}${given}${expectation(String(kindIn(issue.input)), known)}`];
  }
  if (issue.code === "invalid_value") {
    const known = issue.values.map(String);
    const given =
      issue.input === undefined ? "" : `, got ${shown(issue.input)}${suggestion(String(issue.input), known)}`;
    return [`${inside(path)}: expected one of ${known.join(", ")}${given}`];
  }
  return [
    `${inside(path)}: ${expected(issue)}, ${issue.input === undefined ? "but it is missing" : `got ${shown(issue.input)}`}`,
  ];
}

/** Of a union, the issues of the one alternative that has the input's type; undefined where none or several have. */
function issuesOfMeant(issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] | undefined {
  if (issue.code !== "invalid_union") return undefined;
  const meant = issue.errors.filter((inner) => inner.every(({ path }) => path.length > 0));
  return meant.length === 1 ? meant[0] : undefined;
}

/** Where a setting belongs that was written at the top. */
function placeOf(key: string, tree: SchemaNode): string | undefined {
  const places = Object.entries(tree.properties ?? {}).filter(([, node]) => knownKeys(node).includes(key));
  return places.length === 1 ? `; did you mean ${JSON.stringify(`${places[0]![0]}.${key}`)}?` : undefined;
}

/** Names of the settings of a place; of a choice, those of all its kinds together. */
export function knownKeys(node: SchemaNode | undefined): string[] {
  const own = Object.keys(node?.properties ?? {});
  return [...new Set([...own, ...alternatives(node).flatMap((member) => Object.keys(member.properties ?? {}))])];
}

/** The kinds of a choice, in the catalogue's order. */
export function kindsOf(node: SchemaNode | undefined): string[] {
  return alternatives(node).map((member) => String(member.properties?.kind?.const));
}

/** The members of a choice, also of one that may be a list of them; none of anything else. A choice of one is written without a union. */
export function alternatives(node: SchemaNode | undefined): readonly SchemaNode[] {
  if (node?.properties?.kind !== undefined) return [node];
  return (node?.oneOf ?? node?.anyOf ?? []).flatMap(alternatives);
}

function nodeAt(tree: SchemaNode, path: readonly string[]): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>((node, name) => {
    // A list of choices is described as one of them is.
    if (isIndex(name)) return node;
    return [node, ...alternatives(node)].find((one) => one?.properties?.[name] !== undefined)?.properties?.[name];
  }, tree);
}

function isIndex(name: string): boolean {
  return /^\d+$/.test(name);
}

/** `expected a whole number`, `expected number to be >0`, `expected number or array`. */
function expected(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_union") {
    const each = new Set(issue.errors.flatMap(([first]) => (first === undefined ? [] : expected(first))));
    return [...each].map((one, i) => (i === 0 ? one : one.replace("expected ", ""))).join(" or ");
  }
  return issue.message
    .replace(/^(Invalid \w+|Too small|Too big): /, "")
    .replace(/, received .*$/, "")
    .replace("expected int", "expected a whole number")
    .replace("expected record", "expected object")
    .replace(
      /expected number to be (>=|<=|>|<)(.+)$/,
      (_, bound: Bound, value) => `expected a number ${bounds[bound]} ${value}`,
    );
}

type Bound = ">=" | "<=" | ">" | "<";
const bounds: Readonly<Record<Bound, string>> = { ">=": "of at least", "<=": "of at most", ">": "above", "<": "below" };

/** As JSON; also shows numbers that JSON lacks. */
function shown(input: unknown): string {
  return typeof input === "number" ? String(input) : JSON.stringify(input);
}

function kindIn(input: unknown): unknown {
  return typeof input === "object" && input !== null && "kind" in input ? input.kind : input;
}

/** `"model.layers"` */
export function quotedPath(path: readonly string[]): string {
  return path.length === 0 ? "the configuration" : JSON.stringify(path.join("."));
}

function listed(known: readonly string[]): string {
  return known.length === 0 ? "" : `; known are ${known.join(", ")}`;
}
