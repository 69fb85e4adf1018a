import { type Choice, type Choices, kindsOf } from "../run/catalogue.ts";
import type { RunConfig } from "../run/config.ts";
import { isShortened } from "../run/flags.ts";
import { kebab } from "../schema/kebab.ts";

/** One thing that a configuration is told apart by: a kind of a choice, or the value of a setting. */
type Mark = { readonly name: string; readonly value: string; readonly isKind: boolean };

type Settings = Readonly<Record<string, unknown>>;

/** Stands for what a configuration leaves to the model or the task. */
const usual = "usual";

/**
 * A label for each of several variants of one task, made of what differs among them: kinds by their names, settings as `mixer.features=32`. A
 * setting is compared only where the kinds are the same that have it. The model that most have is not said.
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
  const textOf = ({ name, value, isKind }: Mark): KindText => {
    if (!isKind) return { text: `${name}=${value}` };
    const isAmbiguous = every.some((other) => other.isKind && other.value === value && other.name !== name);
    return { text: value, ...(isAmbiguous && { part: name }) };
  };
  const said = marks.map((own) => own.filter(({ value }) => value !== usual));
  const labels = firstUnique([
    () => said.map((own) => labelText(own, textOf, commonModel(said))),
    () => said.map((own) => labelText(own, textOf)),
    // What is as usual need not be said, unless labels were the same without it.
    () => marks.map((own) => labelText(own, textOf)),
  ]).map((label, i) => (label === "" ? plain(i) : label));
  return labels.map((label, i) => {
    const before = labels.slice(0, i).filter((other) => other === label).length;
    return before === 0 ? label : `${label} (${before + 1})`;
  });
}

/** What a mark says; of a kind whose name another part has, too, also the part. */
type KindText = { readonly text: string; readonly part?: string };

function firstUnique(forms: readonly (() => readonly string[])[]): readonly string[] {
  const made = forms.map((form) => form());
  return made.find((labels) => new Set(labels).size === labels.length) ?? made.at(-1)!;
}

/**
 * `softmax · rotary`; `axial (pattern)` where another part has an `axial`, too. With a model that most have, its name is left away, and others are
 * named behind a single kind: `linformer (bert)`.
 */
function labelText(marks: readonly Mark[], textOf: (mark: Mark) => KindText, common?: string): string {
  const model = marks.find(isModel);
  const rest = marks.filter((mark) => mark !== model);
  const isLeftAway = common !== undefined && model?.value === common && rest.length > 0;
  const [only] = rest;
  const isBehind = common !== undefined && model !== undefined && !isLeftAway && rest.length === 1 && only!.isKind;
  if (isBehind) return withBrackets(textOf(only!), textOf(model).text);
  return (isLeftAway ? rest : marks).map((mark) => withBrackets(textOf(mark))).join(" · ");
}

function withBrackets({ text, part }: KindText, model?: string): string {
  const words = [part, model].filter((word) => word !== undefined);
  return words.length === 0 ? text : `${text} (${words.join(", ")})`;
}

/** The model that most variants have, if all of these are also told by a kind of something else. */
function commonModel(marks: readonly (readonly Mark[])[]): string | undefined {
  const modelOf = (own: readonly Mark[]) => own.find(isModel)?.value;
  const common = marks.map(modelOf).find((kind) => {
    const those = marks.filter((own) => modelOf(own) === kind);
    return kind !== undefined && those.length * 2 > marks.length;
  });
  const isTold = (own: readonly Mark[]) => own.some((mark) => mark.isKind && !isModel(mark));
  return marks.every((own) => modelOf(own) !== common || isTold(own)) ? common : undefined;
}

function isModel({ name, isKind }: Mark): boolean {
  return isKind && name === "model";
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
