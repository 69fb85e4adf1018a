import type { Mixer } from "../../kinds/index.ts";
import { oneSequence } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { type IsabParams, isab, type SetBlockOptions } from "./set-blocks.ts";

/**
 * A whole {@link isab} as a mixer, its residuals and network included: positions exchange information through M learned
 * points.
 *
 * Not causal, and blind to order: positions come in with the embeddings or not at all.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T·M·C) time, O(B·H·T·M) memory
 * @source Lee et al. 2019, "Set Transformer", §3.1, arXiv:1810.00825
 */
export function inducedSet(options: SetBlockOptions & { readonly points: number }): Mixer<IsabParams> {
  const name = "induced-set";
  const block = isab(options);
  return {
    name,
    sees: "all",
    init: block.init,
    apply: (params, input, context) => {
      oneSequence(name, input);
      const { x, view } = input;
      requireSupport(name, view, {
        scores: "the learned points stand nowhere",
        rotation: "the learned points stand nowhere",
      });
      const { y, map } = block.apply(params, x, view.keyMask, context);
      return { y, map };
    },
  };
}
