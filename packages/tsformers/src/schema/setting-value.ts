import type { SchemaNode } from "./schema-tree.ts";

/**
 * What a text of the command line means to a setting: `16`, `0,5,9`, `merged`, `true`, `none` for null; lists may stand in brackets, and
 * lists of lists are JSON, `[[0,1],[1,0]]`. What does not read as that stays text, for the schema to complain about.
 */
export function settingValue(text: string, node: SchemaNode): unknown {
  const types = [node, ...(node.anyOf ?? [])];
  const list = types.find(({ type }) => type === "array");
  const bracketed = /^\s*\[.*\]\s*$/s.test(text);
  if (list !== undefined && (bracketed || node.type === "array" || text.includes(","))) {
    return bracketed ? (jsonIn(text) ?? itemsOf(unbracketed(text), list)) : itemsOf(text, list);
  }
  if (types.some(({ type }) => type === "null") && text === "none") return null;
  if (types.some(({ type }) => type === "integer" || type === "number")) return numberIn(text);
  if (node.type === "boolean") return text === "true" || (text === "false" ? false : text);
  return text;
}

/** A text without the brackets around it, if it has them. */
export function unbracketed(text: string): string {
  return /^\s*\[(.*)\]\s*$/s.exec(text)?.[1] ?? text;
}

/** Texts between the commas that stand in no brackets. */
export function splitList(text: string): string[] {
  const items: string[] = [""];
  let depth = 0;
  for (const character of text) {
    if (character === "[") depth++;
    if (character === "]") depth--;
    if (character === "," && depth === 0) items.push("");
    else items[items.length - 1] += character;
  }
  const trimmed = items.map((item) => item.trim());
  if (trimmed.length > 1 && trimmed.includes(""))
    throw new RangeError(`expected something between the commas of a list, got ${JSON.stringify(text)}`);
  return trimmed.filter((item) => item !== "");
}

function itemsOf(text: string, { items = {} }: SchemaNode): unknown[] {
  return splitList(text).map((item) => settingValue(item, items));
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function numberIn(text: string): unknown {
  const number = Number(text.replace(/_/g, ""));
  return text.trim() === "" || Number.isNaN(number) ? text : number;
}
