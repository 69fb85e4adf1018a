import type { View } from "../../kinds/index.ts";

/** Why scores, or rotation, are not supported; absent where they are. */
export type Refusals = { readonly scores?: string; readonly rotation?: string };

/**
 * Refuses a view that the mixer cannot honour, instead of ignoring part of it.
 *
 * @throws TypeError `performer: cannot take scores (biases, learned distances): it computes no logits`
 */
export function requireSupport(mixer: string, view: View, what: Refusals): void {
  if (view.scores !== undefined && what.scores !== undefined) {
    throw new TypeError(`${mixer}: cannot take scores (biases, learned distances): ${what.scores}`);
  }
  if (view.rotate !== undefined && what.rotation !== undefined) {
    throw new TypeError(`${mixer}: cannot take rotated queries and keys (rotary positions): ${what.rotation}`);
  }
}
