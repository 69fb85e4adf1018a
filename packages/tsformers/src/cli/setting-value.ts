import type { SchemaNode } from "../schema/explain.ts";
import { UsageError } from "./exit.ts";

/**
 * What a text of the command line means to a setting: `16`, `0,5,9`, `merged`, `true`; lists of lists are JSON, `[[0,1],[1,0]]`. What
 * does not read as that stays text, for the schema to complain about.
 *
 * @throws UsageError for text that begins like JSON and is none
 */
export function settingValue(text: string, node: SchemaNode): unknown {
  if (/^\s*[[{]/.test(text)) {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new UsageError(`expected JSON, got ${text}: ${(error as Error).message}`);
    }
  }
  if (node.type === "array") {
    const items = text.split(",").filter((item) => item.trim() !== "");
    return items.map((item) => settingValue(item.trim(), node.items ?? {}));
  }
  if (node.type === "integer" || node.type === "number") return numberIn(text);
  if (node.type === "boolean") return text === "true" || (text === "false" ? false : text);
  // A choice of types, such as a number or null: what reads as one of them is.
  if (node.anyOf?.some(({ type }) => type === "null") && text === "none") return null;
  return node.anyOf === undefined ? text : numberIn(text);
}

function numberIn(text: string): unknown {
  const number = Number(text.replace(/_/g, ""));
  return text.trim() === "" || Number.isNaN(number) ? text : number;
}
