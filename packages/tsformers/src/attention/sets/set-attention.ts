import type { Mixer } from "../../kinds/index.ts";
import { oneSequence } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { type IsabParams, isab, type SetBlockOptions } from "./set-blocks.ts";

/**
 * An {@link isab} as a mixer, including its residuals and network: positions exchange information through M learned inducing
 * points.
 *
 * Not causal, and invariant to order: positions can only come in with the embeddings.
 *
 * @param options.points M, number of inducing points
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
        scores: "inducing points have no position",
        rotation: "inducing points have no position",
      });
      const { y, map } = block.apply(params, x, view.keyMask, context);
      return { y, map };
    },
  };
}
