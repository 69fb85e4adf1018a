/** Describes a value of an unexpected kind, for errors. */
export function described(value: unknown): string {
  if (typeof value !== "object" || value === null) return typeof value === "function" ? "a function" : String(value);
  if (value instanceof Promise) return "a promise: is an `await` missing, or a traced function async?";
  if (Array.isArray(value)) return "a list; `ndarray` makes an array of it";
  if ("device" in value) return "an array on a device; make it an argument of the traced function";
  return `an object of ${value.constructor?.name ?? "no class"}`;
}
