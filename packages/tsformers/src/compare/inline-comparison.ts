import { canonicalJson } from "../run/canonical-json.ts";
import { kindsOf } from "../run/catalogue.ts";
import { type RunConfig, runSchema } from "../run/config.ts";
import { type Flag, flagName, flagsOf } from "../run/flags.ts";
import { type PartName, parts } from "../run/parts.ts";
import { type Axis, type Cell, cellsOf } from "./cells.ts";
import { isChoices } from "./labels.ts";
import { modelKey } from "./model-key.ts";
import { standardFor } from "./standard.ts";

/** Those of the task and the model, but for models of checkpoints. */
const flags = flagsOf(runSchema);
const modelFlags = flags.filter(({ path }) => path[0] === "task" || path[0] === "model");

/** Settings that have an option of their own to vary them. */
const shortAxes: readonly string[] = ["model", "mixer", "position"];

/**
 * The options of `tsformers compare` that name the models and the task of some configurations: `--task text --mixers local,softmax --heads 2`.
 * How long and with what rate they were trained is left to the defaults at the length.
 *
 * @returns nothing where options cannot say what they are, such as a model of a checkpoint; not exact where combinations make others, too
 */
export function inlineComparison(
  configs: readonly RunConfig[],
  length: number,
): { readonly options: string; readonly isExact: boolean } | undefined {
  const given = new Map<Flag, string>();
  const axes: Axis[] = [];
  const isTask = ({ path }: Flag) => path.join(".") === "task.kind";
  for (const flag of modelFlags) {
    const texts = configs.map((config) => textAt(config, flag));
    const values = [...new Set(texts.flatMap((text) => text ?? []))];
    if (values.length === 0) continue;
    const usual = new Set(cellsFor(given, axes, length)?.flatMap(({ config }) => textAt(config, flag) ?? []));
    const isAsUsual = usual.size === 1 && values.length === 1 && usual.has(values[0]!);
    if (isAsUsual && !isTask(flag)) continue;
    if (values.length === 1) given.set(flag, values[0]!);
    else axes.push({ flag, values });
  }
  const found = new Set(cellsFor(given, axes, length)?.map(({ config }) => modelOf(config)));
  if (!configs.every((config) => found.has(modelOf(config)))) return undefined;
  const words = [...[...given].map(([flag, text]) => `${flagName(flag)} ${shellWord(text)}`), ...axes.map(axisText)];
  return { options: words.join(" "), isExact: found.size === new Set(configs.map(modelOf)).size };
}

function modelOf({ task, model }: RunConfig): string {
  return canonicalJson([task, modelKey(model)]);
}

/** What the options make; nothing while they are not enough to make anything. */
function cellsFor(
  given: ReadonlyMap<Flag, string>,
  axes: readonly Axis[],
  length: number,
): readonly Cell[] | undefined {
  try {
    return cellsOf(
      {
        settings: { length },
        standard: (task) => standardFor({ ...task, length }),
        ...{ given, flags, searched: [], source: "options", nameOf: (path) => path.join(".") },
      },
      axes,
    ).cells;
  } catch {
    return undefined;
  }
}

/** What stands at a place of a configuration, as an option takes it; of several layers what all have that have it. */
function textAt(config: RunConfig, { path, nodes }: Flag): string | undefined {
  const inner = path
    .slice(0, -1)
    .reduce<readonly unknown[]>(
      (all, name) => all.flatMap((one) => (typeof one === "object" && one !== null ? (one as Settings)[name] : [])),
      [config],
    );
  const setting = path.at(-1)!;
  const part = path.at(-2) as PartName;
  if (setting === "kind" && inner.every((one) => one === undefined))
    return Object.hasOwn(parts, part) && nodes.has(config.model.kind) ? parts[part].usual : undefined;
  const chosen = inner.length > 0 && inner.every(isChoices) ? inner : [];
  if (setting === "kind" && chosen.length > 0)
    return kindsOf(chosen.flat())
      .map(({ kind, times }) => (times === 1 ? kind : `${kind}*${times}`))
      .join(",");
  const value = inner.map((one) => (one as Settings | undefined)?.[setting]).find((one) => one !== undefined);
  if (value === undefined || isChoices(value)) return undefined;
  return typeof value === "string" ? value : Array.isArray(value) ? value.join(",") : JSON.stringify(value);
}

type Settings = Readonly<Record<string, unknown>>;

function axisText({ flag, values }: Axis): string {
  const name = flag.short ?? flag.name;
  const list = shellWord(values.map((value) => (value.includes(",") ? `[${value}]` : value)).join(","));
  return shortAxes.includes(name) ? `--${name}s ${list}` : `--vary ${name}=${list}`;
}

/** A word as a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w.,:/=@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
