import { runSchema } from "../run/config.ts";
import { flagNamed } from "../run/flags.ts";
import { partNames } from "../run/parts.ts";
import { splitList, unbracketed } from "../schema/setting-value.ts";
import { type ColumnType, type Condition, runColumns, type Scalar } from "../store/index.ts";
import { runFlags } from "./config-flags.ts";
import { UsageError } from "./exit.ts";

const types: Readonly<Record<string, ColumnType>> = runColumns;

/**
 * Conditions as they are written on the command line: `loss<0.5`, `mixer=performer,seed!=0`, `mixer.features>=16`;
 * values with commas stand in brackets, `mixer=[local,routing]`.
 *
 * @throws UsageError for what is no condition
 */
export function conditionsIn(text: string): Condition[] {
  return splitList(text).map((item): Condition => {
    const [, name, is, value] = /^([\w.-]+?)\s*(!=|<=|>=|==?|<|>)\s*(.*)$/.exec(item) ?? [];
    if (name === undefined)
      throw new UsageError(
        `--where: expected conditions, such as mixer=performer or length>=1024, got ${JSON.stringify(item)}`,
      );
    const column = columnNamed(name);
    return {
      column,
      is: (is === "==" ? "=" : is) as Condition["is"],
      value: valueIn(unbracketed(value!), column, name),
    };
  });
}

/**
 * A column of runs: by its own name, `--like-this`, or by the flag of `train` that sets it, or by the place of a setting in a configuration. What it is
 * not is left to the store to refuse.
 */
export function columnNamed(typed: string): string {
  const name = typed.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (name === "length") return "trainLength";
  const [first = "", ...path] = name.split(".");
  if (Object.hasOwn(types, first) && (path.length === 0 || types[first] === "json")) return name;
  const flag = flagNamed(runFlags, typed);
  if (flag !== undefined) return ["config", ...flag.path].join(".");
  if (path.length === 0) return name;
  if (partNames.some((part) => part === first)) return `config.model.${name}`;
  return Object.hasOwn(runSchema.shape, first) ? `config.${name}` : name;
}

/** A value of the kind that its column has; of a value within JSON, of the kind that it looks like. */
function valueIn(text: string, column: string, name: string): Scalar | null {
  if (text === "none") return null;
  const type = types[column];
  if (type === "text") return text;
  if ((type === "boolean" || type === undefined) && (text === "true" || text === "false")) return text === "true";
  const number = Number(text.replace(/_/g, ""));
  if (text.trim() !== "" && !Number.isNaN(number) && type !== "boolean") return number;
  if (type === undefined) return text;
  throw new UsageError(
    `--where ${name}: expected ${type === "boolean" ? "true or false" : "a number"}, got ${JSON.stringify(text)}`,
  );
}
