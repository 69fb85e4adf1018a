import { createHash } from "node:crypto";

/** JSON with sorted keys: equal data give equal text. */
export function canonicalJson(data: unknown): string {
  return JSON.stringify(data, (_, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Eight characters of a hash: different data almost certainly give different ones. */
export function fingerprint(data: unknown): string {
  return createHash("sha256").update(canonicalJson(data)).digest("hex").slice(0, 8);
}
