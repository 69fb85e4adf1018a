import { type Concrete, splitKey } from "@tsformers/engine";
import type { Block, Depth } from "../kinds/index.ts";
import type { NormParams } from "../nn/norm.ts";
import { present } from "../nn/present.ts";
import { type FinalNorm, finalNormOf, openLayers } from "./layers.ts";

export type StackParams<BlockParams = unknown> = { blocks: readonly BlockParams[]; finalNorm?: NormParams };

/**
 * Blocks one after the other, `x ← block(x)`, then the final norm where there is one.
 *
 * @shape  x [B, T, C] → [B, T, C]
 */
export function blockStack<BlockParams>(
  blocks: readonly Block<BlockParams>[],
  options: FinalNorm = {},
): Depth<StackParams<BlockParams>> {
  return {
    layers: blocks,
    init: (key) => {
      const [norm, ...keys] = splitKey(key, 1 + blocks.length);
      const params = {
        blocks: blocks.map((block, i) => block.init(keys[i]!)),
        finalNorm: options.finalNorm?.init(norm!),
      };
      return present(params) as Concrete<StackParams<BlockParams>>;
    },
    apply: (params, input, context) => {
      const layers = openLayers(input);
      const hidden = [input.x];
      blocks.forEach((block, i) => {
        const x = layers.placed(i, hidden[i]!);
        hidden.push(layers.run(i, block as Block, params.blocks[i], x, context));
      });
      const out = layers.close(finalNormOf(options, params)(hidden.at(-1)!));
      return { ...out, hidden: [...hidden.slice(0, -1), out.x] };
    },
  };
}
