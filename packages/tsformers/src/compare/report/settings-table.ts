/** Settings by dotted names: those that all have alike, and for each the others. */
export type SettingsTable = {
  readonly common: Readonly<Record<string, string>>;
  readonly own: readonly Readonly<Record<string, string>>[];
};

/** Sorts the settings of several configurations into those that are the same for all and those that differ, each by its dotted name. */
export function settingsTable(configs: readonly unknown[]): SettingsTable {
  const all = configs.map((config) => new Map(flattened(config, "")));
  const names = [...new Set(all.flatMap((settings) => [...settings.keys()]))];
  const isCommon = (name: string) => all.every((settings) => settings.get(name) === all[0]!.get(name));
  return {
    common: Object.fromEntries(names.filter(isCommon).map((name) => [name, all[0]!.get(name)!])),
    own: all.map((settings) => Object.fromEntries([...settings].filter(([name]) => !isCommon(name)))),
  };
}

/** `model.mixer.features` → `32`; the kind of a choice under the name of the choice. */
function flattened(value: unknown, name: string): [name: string, text: string][] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null))
    return [[name, value.map(String).join(", ")]];
  if (typeof value !== "object" || value === null) return [[name, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = name === "" ? key : `${name}.${key}`;
    return flattened(inner, key === "kind" && name !== "" ? name : path);
  });
}
