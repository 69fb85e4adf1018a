import { createHash } from "node:crypto";
import { canonicalJson } from "../../run/canonical-json.ts";

/** Eight characters of a hash: different data almost certainly give different ones. */
export function fingerprint(data: unknown): string {
  return createHash("sha256").update(canonicalJson(data)).digest("hex").slice(0, 8);
}
