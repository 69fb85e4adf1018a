import { recompute, type Tensor } from "@tsformers/engine";
import type { Block } from "../blocks/block.ts";
import { present } from "../nn/present.ts";

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
      if (input.cache !== undefined || input.past !== undefined) return block.apply(params, input, context);
      const { x, ...rest } = input;
      let looks = false;
      const again = recompute((x: Tensor) => {
        const { y, loss, carried, map } = block.apply(params, { ...rest, x }, context);
        looks = map !== undefined;
        return { y, ...present({ loss, carried }) };
      });
      const out = again(x);
      return looks ? { ...out, map: () => block.apply(params, input, context).map!() } : out;
    },
  };
}
