import { recompute, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { Block, BlockOutput } from "../kinds/index.ts";
import type { NoSettings } from "../schema/entry.ts";
import { type DepthEntry, type DepthMaker, depthEntry } from "./depth-entry.ts";
import { blockStack } from "./stack.ts";

/**
 * A block whose inside is forgotten after the forward pass and computed again for the gradient: of each block only its input
 * stays in memory.
 *
 * Dropout drops the same again, since its key is the same. In decoding nothing is differentiated, and the block runs as it is.
 *
 * @cost   one more forward pass; activations of one block, and [B, T, C] for each of N blocks
 * @source Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174
 */
export function recomputed<Params>(block: Block<Params>): Block<Params> {
  return {
    ...block,
    apply: (params, input, context) => {
      if (input.place !== undefined) return block.apply(params, input, context);
      let [hasMap, hasFfnInput] = [false, false];
      const again = recompute((x: Tensor): BlockOutput => {
        const { map, ffnInput, ...out } = block.apply(params, { ...input, x }, context);
        [hasMap, hasFfnInput] = [map !== undefined, ffnInput !== undefined];
        return out;
      });
      const whole = () => block.apply(params, input, context);
      return {
        ...again(input.x),
        ...(hasMap && { map: () => whole().map!() }),
        ...(hasFfnInput && { ffnInput: () => whole().ffnInput!() }),
      };
    },
  };
}

/** Blocks that are {@link recomputed} for the gradient. */
export const recomputing: DepthMaker = { make: (blocks, options) => blockStack(blocks.map(recomputed), options) };

export const recomputedEntry: DepthEntry<"recomputed", NoSettings> = /* @__PURE__ */ depthEntry({
  name: "recomputed",
  title: "Recomputed blocks",
  year: 2016,
  paper: "Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174",
  summary: "of each block only the input is kept; its inside is computed again for the gradient",
  formula: "x ← block_n(x), activations of one block at a time",
  cost: "one more forward pass; activations of one block, and [B, T, C] for each",
  options: () => z.strictObject({}),
  make: () => recomputing,
});
