import type { View } from "../../kinds/index.ts";

/**
 * Says no to what a mixer cannot honour, instead of ignoring it.
 *
 * @throws TypeError `performer: cannot take scores (biases, learned distances): it never computes logits`
 */
export function requireSupport(
  mixer: string,
  view: View,
  what: { readonly scores?: string; readonly rotation?: string },
): void {
  if (view.scores !== undefined && what.scores !== undefined) {
    throw new TypeError(`${mixer}: cannot take scores (biases, learned distances): ${what.scores}`);
  }
  if (view.rotate !== undefined && what.rotation !== undefined) {
    throw new TypeError(`${mixer}: cannot take turned queries and keys (rotary positions): ${what.rotation}`);
  }
}
