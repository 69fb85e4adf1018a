import * as z from "zod";
import { expectation, suggestion } from "./nearest.ts";

/** The parts of a schema's JSON Schema that programs read. */
export type SchemaNode = {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly oneOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
  readonly required?: readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly (string | number)[];
  readonly type?: string;
  readonly items?: SchemaNode;
  readonly default?: unknown;
  readonly description?: string;
};

/** The JSON Schema of what a schema accepts. */
export function schemaTree(schema: z.ZodType): SchemaNode {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as SchemaNode;
}

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
  if (issue.code === "unrecognized_keys") {
    const place = nodeAt(tree, path);
    const known = knownKeys(place);
    return issue.keys.map(
      (key) => `unknown setting ${inside([...path, key])}${suggestion(key, known) || listed(known)}`,
    );
  }
  if (issue.code === "invalid_union" && path.at(-1) === "kind") {
    const known = kindsOf(nodeAt(tree, path.slice(0, -1)));
    const given = issue.input === undefined ? "" : ` ${JSON.stringify(kindIn(issue.input))}`;
    return [`unknown ${path.slice(0, -1).join(".")}${given}${expectation(String(kindIn(issue.input)), known)}`];
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

/** Names of the settings at a place; for a choice, those of all its kinds together. */
export function knownKeys(node: SchemaNode | undefined): string[] {
  const own = Object.keys(node?.properties ?? {});
  return [...new Set([...own, ...alternatives(node).flatMap((member) => Object.keys(member.properties ?? {}))])];
}

/** The kinds of a choice, in the catalogue's order. */
export function kindsOf(node: SchemaNode | undefined): string[] {
  return alternatives(node).map((member) => String(member.properties?.kind?.const));
}

/** The members of a choice. A choice of one is written without a union. */
export function alternatives(node: SchemaNode | undefined): readonly SchemaNode[] {
  if (node?.properties?.kind !== undefined) return [node];
  return node?.oneOf ?? node?.anyOf ?? [];
}

function nodeAt(tree: SchemaNode, path: readonly string[]): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>((node, name) => node?.properties?.[name], tree);
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

function quotedPath(path: readonly string[]): string {
  return path.length === 0 ? "the configuration" : JSON.stringify(path.join("."));
}

function listed(known: readonly string[]): string {
  return known.length === 0 ? "" : `; known are ${known.join(", ")}`;
}
