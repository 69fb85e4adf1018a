import { type Concrete, splitKey } from "@tsformers/engine";
import * as z from "zod";
import type { Block, Depth } from "../kinds/index.ts";
import type { NoSettings } from "../schema/entry.ts";
import { present } from "../schema/present.ts";
import { type DepthEntry, type DepthMaker, depthEntry } from "./depth-entry.ts";
import { completed, type FinalNorm, finalNormOf, openLayers, type StackParams } from "./layers.ts";

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
      const own = completed(blocks, params.blocks);
      blocks.forEach((block, i) => {
        const x = layers.placed(i, hidden[i]!);
        hidden.push(layers.run(i, block as Block, own[i], x, context));
      });
      const out = layers.close(finalNormOf(options, params)(hidden.at(-1)!));
      return { ...out, hidden: [...hidden.slice(0, -1), out.x] };
    },
  };
}

/** One after the other. */
export const stacked: DepthMaker = { make: (blocks, options) => blockStack(blocks, options) };

export const stackEntry: DepthEntry<"stack", NoSettings> = /* @__PURE__ */ depthEntry({
  name: "stack",
  title: "Stack",
  year: 2017,
  paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
  summary: "blocks one after the other",
  formula: "x ← block_n(x), n = 1 … N",
  cost: "N blocks",
  options: () => z.strictObject({}),
  make: () => stacked,
});
