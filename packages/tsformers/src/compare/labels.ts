import { type Choice, type Choices, kindsOf } from "../run/catalogue.ts";
import type { RunConfig } from "../run/config.ts";
import { isShortened, kebab } from "../run/flags.ts";

/** One thing that a configuration is told apart by: a kind of a choice, or the value of a setting. */
type Mark = { readonly name: string; readonly value: string; readonly isKind: boolean };

type Settings = Readonly<Record<string, unknown>>;

/** Stands for what a configuration leaves to the model or the task. */
const usual = "usual";

/**
 * A label for each of several variants of one task, made of what differs among them: kinds by their names, settings as `mixer.features=32`. A
 * setting is compared only where the kinds are the same that have it.
 */
export function variantLabels(configs: readonly RunConfig[]): string[] {
  const own = configs.map(({ task: _, length: __, seed: ___, ...rest }) => rest);
  return labelsOf(own, (i) => plainLabel(configs[i]!));
}

/** A label for each of several tasks: its name, and the settings in which it differs from others of that name. */
export function taskLabels(tasks: readonly Pick<RunConfig, "task" | "length">[]): string[] {
  return tasks.map(({ task: { kind } }, i) => {
    const alike = tasks.filter(({ task }) => task.kind === kind);
    const rest = labelsOf(alike, () => "")[alike.indexOf(tasks[i]!)]!;
    return rest === "" ? kind : `${kind} · ${rest}`;
  });
}

function labelsOf(all: readonly Settings[], plain: (i: number) => string): string[] {
  const marks = marksOfSettings(all, "");
  const every = marks.flat();
  const isAmbiguous = ({ name, value }: Mark) =>
    every.some((other) => other.isKind && other.value === value && other.name !== name);
  const textsOf = (marksOf: (own: readonly Mark[]) => readonly Mark[]) =>
    marks.map((own, i) => {
      const said = marksOf(own);
      return said.length === 0 ? plain(i) : said.map((mark) => textOf(mark, isAmbiguous(mark))).join(" · ");
    });
  // What is as usual need not be said, unless labels were the same without it.
  const short = textsOf((own) => own.filter(({ value }) => value !== usual));
  const labels = new Set(short).size === short.length ? short : textsOf((own) => own);
  return labels.map((label, i) => {
    const before = labels.slice(0, i).filter((other) => other === label).length;
    return before === 0 ? label : `${label} (${before + 1})`;
  });
}

function textOf({ name, value, isKind }: Mark, isAmbiguous: boolean): string {
  return isKind && !isAmbiguous ? value : `${name}=${value}`;
}

/** Of a configuration that nothing else is like: the model, and what was chosen for it. */
function plainLabel({ model }: RunConfig): string {
  const parts = Object.values(model).flatMap((value) => (isChoices(value) ? [kindsText(value)] : []));
  return [model.kind, ...parts].join(" · ");
}

/** What tells settings apart, in their order; what is absent of all of them tells nothing. */
function marksOfSettings(all: readonly (Settings | undefined)[], place: string): Mark[][] {
  const names = [...new Set(all.flatMap((settings) => Object.keys(settings ?? {})))].filter((name) => name !== "kind");
  const marks = names.map((name) => {
    const values = all.map((settings) => settings?.[name]);
    const isChoice = values.some(isChoices);
    return isChoice ? marksOfChoice(name, values, all) : marksOfValues(nameOf(place, name), values, all);
  });
  return all.map((_, i) => marks.flatMap((of) => of[i]!));
}

function marksOfValues(name: string, values: readonly unknown[], owners: readonly (Settings | undefined)[]): Mark[][] {
  const texts = values.map((value) => (value === undefined ? usual : valueText(value)));
  const isOwned = (_: unknown, i: number) => owners[i] !== undefined;
  const differ = new Set(texts.filter(isOwned)).size > 1;
  return texts.map((value, i) => (differ && isOwned(value, i) ? [{ name, value, isKind: false }] : []));
}

function marksOfChoice(name: string, values: readonly unknown[], owners: readonly (Settings | undefined)[]): Mark[][] {
  const kinds = values.map((value) => (isChoices(value) ? kindsText(value) : undefined));
  const present = kinds.filter((_, i) => owners[i] !== undefined);
  const differ = new Set(present).size > 1;
  const marks = kinds.map((kind, i): Mark[] => {
    if (!differ || owners[i] === undefined) return [];
    return [{ name: kebab(name), value: kind ?? usual, isKind: kind !== undefined }];
  });
  for (const kind of new Set(kinds)) {
    if (kind === undefined) continue;
    const own = values.map((value, i) => (kinds[i] === kind && isChoices(value) ? settingsOf(value) : undefined));
    marksOfSettings(own, kebab(name)).forEach((more, i) => {
      marks[i]!.push(...more);
    });
  }
  return marks;
}

/** `layers`, `mixer.features` */
function nameOf(place: string, name: string): string {
  return place === "" || isShortened(place) ? kebab(name) : `${place}.${kebab(name)}`;
}

function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? `[${value.map(valueText).join(",")}]` : JSON.stringify(value);
}

/** `performer`; of a list `local*2,routing*2` */
function kindsText(chosen: Choices): string {
  return kindsOf(chosen)
    .map(({ kind, times }) => (times === 1 ? kind : `${kind}*${times}`))
    .join(",");
}

/** The settings of all kinds of a choice together. */
function settingsOf(chosen: Choices): Settings {
  return Object.assign({}, ...[chosen].flat());
}

export function isChoices(value: unknown): value is Choices {
  return Array.isArray(value) ? value.length > 0 && value.every(isChoice) : isChoice(value);
}

function isChoice(value: unknown): value is Choice {
  return typeof value === "object" && value !== null && "kind" in value && typeof value.kind === "string";
}
