import type { View } from "../../kinds/index.ts";
import { CombinationError } from "../../schema/combination-error.ts";

/** Why scores, or rotation, are not supported; absent where they are. */
export type Refusals = { readonly scores?: string; readonly rotation?: string };

/**
 * Refuses a view that the mixer cannot honour, instead of ignoring part of it.
 *
 * @param what the reason why scores, or rotation, are not supported; absent where they are
 * @throws CombinationError `performer: cannot take scores (biases, learned distances): it computes no logits`
 */
export function requireSupport(mixer: string, view: View, what: Refusals): void {
  if (view.scores !== undefined && what.scores !== undefined) {
    throw new CombinationError(`${mixer}: cannot take scores (biases, learned distances): ${what.scores}`);
  }
  if (view.rotate !== undefined && what.rotation !== undefined) {
    throw new CombinationError(`${mixer}: cannot take rotated queries and keys (rotary positions): ${what.rotation}`);
  }
}
