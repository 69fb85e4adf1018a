import * as z from "zod";
import { blockwiseHeads, blockwise as oneForAll } from "../../attention/patterns/blockwise.ts";
import type { Pattern } from "../../attention/patterns/pattern.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { maskedAttention } from "./masked-attention.ts";

const permutation = z.array(z.int().nonnegative()).min(1);
const blocks = { n_blocks: z.int().positive() };
const options = z.union([
  z.strictObject({ ...blocks, permutation }),
  z.strictObject({ ...blocks, permutations: z.array(permutation).min(1) }),
]);

/** @throws RangeError when the permutation does not have n_blocks entries */
export function blockwisePattern(given: Readonly<Record<string, unknown>>): Pattern {
  const chosen = options.parse(given);
  const all = "permutation" in chosen ? [chosen.permutation] : chosen.permutations;
  for (const { length } of all) {
    if (length !== chosen.n_blocks)
      throw new RangeError(`blockwise: ${length} blocks permuted, n_blocks is ${chosen.n_blocks}`);
  }
  return "permutation" in chosen ? oneForAll(chosen.permutation) : blockwiseHeads(chosen.permutations);
}

/** Blockwise attention: q, k, v [B, H, T, D]. */
export const blockwise: Mechanism = {
  run: (inputs, given) => maskedAttention(inputs, blockwisePattern(given)),
};
