import { canonicalJson } from "../run/canonical-json.ts";
import type { Choice } from "../run/catalogue.ts";
import { parseRunConfig } from "../run/config.ts";
import { openParts, partNames, parts } from "../run/parts.ts";

const known = new Map<string, string>();

/** Equal for equal models, whether what is usual was said or left away: `mixer: softmax` is no other model than none said. */
export function modelKey(model: Choice): string {
  const key = canonicalJson(model);
  const found = known.get(key) ?? canonicalJson(spelled(model));
  known.set(key, found);
  return found;
}

function spelled(model: Choice): unknown {
  const open = partNames.filter((part) => openParts(model.kind).includes(part));
  const usual = Object.fromEntries(open.map((part) => [part, { kind: parts[part].usual }]));
  try {
    return parseRunConfig({ task: { kind: "text" }, model: { ...usual, ...model } }, "model").model;
  } catch {
    // A model of another version of this package, or one that cannot read text: it is what was said.
    return model;
  }
}
