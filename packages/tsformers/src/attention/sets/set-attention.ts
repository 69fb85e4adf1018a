import * as z from "zod";
import type { Mixer } from "../../kinds/index.ts";
import { positionCount } from "../../schema/count.ts";
import { oneSequence } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { type IsabParams, isab, paperForm, publishedForm, type SetBlockOptions } from "./set-blocks.ts";

const refusals = { scores: "inducing points have no position", rotation: "inducing points have no position" };

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
      requireSupport(name, view, refusals);
      const { y, map } = block.apply(params, x, view.keyMask, context);
      return { y, map };
    },
  };
}

export type InducedSetSettings = { readonly points?: number; readonly form?: "paper" | "published" };

export const inducedSetEntry: MixerEntry<"induced-set", InducedSetSettings> = /* @__PURE__ */ mixerEntry({
  name: "induced-set",
  title: "Induced set attention",
  year: 2019,
  paper: "Lee et al. 2019, Set Transformer, arXiv:1810.00825",
  summary: "attention through a few learned points: they look at all positions, and all positions look at them",
  formula: "MAB(X, MAB(I, X)), MAB(X, Y) = LN(H + rFF(H)), H = LN(X + Multihead(X, Y, Y))",
  cost: "O(n·m·d) time, O(n·m) memory",
  exponent: 1,
  directions: ["bidirectional"],
  refuses: refusals,
  options: () =>
    z.strictObject({
      points: positionCount().default(32).describe("how many learned points there are"),
      form: z
        .enum(["paper", "published"])
        .default("paper")
        .describe("the block as the paper has it, or as the authors' code does"),
    }),
  make: ({ points, form }, context) =>
    inducedSet({ ...context, points, form: form === "paper" ? paperForm() : publishedForm() }),
});
