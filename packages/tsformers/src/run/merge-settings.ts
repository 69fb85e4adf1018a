type Settings = Readonly<Record<string, unknown>>;

/**
 * Settings with others on top. Of a choice, those of another kind take the place of the whole choice; lists and plain settings replace what
 * was there.
 */
export function mergedSettings(base: unknown, over: unknown): unknown {
  if (!isSettings(base) || !isSettings(over)) return over;
  if (over.kind !== undefined && base.kind !== over.kind) return over;
  const merged = Object.entries(over).map(([name, value]) => [name, mergedSettings(base[name], value)]);
  return { ...base, ...Object.fromEntries(merged) };
}

function isSettings(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
