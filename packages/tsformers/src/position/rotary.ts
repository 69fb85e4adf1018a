import { add, cast, concat, expandDims, mul, reshape, slice, stack, sub, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { QkTransform } from "../kinds/index.ts";
import { headWidthOf, requireCounts } from "../nn/sizes.ts";
import { type Angles, baseOption, exactAngles, frequencies } from "./angles.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

/** Which features of a head are rotated together: x [..., 2K] ↔ two of [..., K]. */
export type Pairing = {
  readonly split: (x: Tensor) => readonly [Tensor, Tensor];
  readonly join: (first: Tensor, second: Tensor) => Tensor;
};

/** Pairs (x₀, x₁), (x₂, x₃), …, as in RoFormer and GPT-J. */
export const neighbours: Pairing = {
  split: (x) => [slice(x, -1, 0, undefined, 2), slice(x, -1, 1, undefined, 2)],
  join: (first, second) => reshape(stack([first, second], -1), [...first.shape.slice(0, -1), 2 * first.shape.at(-1)!]),
};

/** Pairs (x₀, x_K), (x₁, x_{K+1}), …, as in GPT-NeoX and Llama. */
export const halves: Pairing = {
  split: (x) => [slice(x, -1, 0, x.shape.at(-1)! / 2), slice(x, -1, x.shape.at(-1)! / 2)],
  join: (first, second) => concat([first, second], -1),
};

export type RotaryOptions = {
  readonly pairing?: Pairing;
  /** Number of rotated features of each head, counted from the first; the others are unchanged. Default: all. */
  readonly rotated?: number;
  /** Base of the {@link frequencies}. Default: 10,000. */
  readonly base?: number;
  /** Default: `base^(−2k/rotated)`. */
  readonly frequencies?: readonly number[];
  readonly angles?: (frequencies: readonly number[]) => Angles;
};

/**
 * Rotates pairs of features of queries and keys by an angle proportional to the position, so that their product depends only on
 * the distance: `(x, y) → (x·cos pω − y·sin pω, x·sin pω + y·cos pω)`, `ω_k = base^(−2k/rotated)`.
 *
 * @shape  x [B, H, T, D] → [B, H, T, D]
 * @cost   O(B·H·T·D) time, no parameters
 * @source Su et al. 2021, "RoFormer", §3.2, arXiv:2104.09864
 * @differs the two pairings are not interchangeable: weights trained with one need a permutation for the other
 */
export function rotary(headWidth: number, options: RotaryOptions = {}): QkTransform {
  const { pairing = halves, rotated = headWidth, base } = options;
  requireCounts("rotary", { headWidth, rotated });
  if (rotated % 2 !== 0 || rotated > headWidth) {
    throw new RangeError(
      `rotary: cannot rotate ${rotated} of the ${headWidth} features of a head; ${needsPairs} of at most ${headWidth}`,
    );
  }
  const angles = (options.angles ?? exactAngles)(options.frequencies ?? frequencies(rotated, base));
  const rotation = (positions: Tensor) => {
    const waves = angles(positions);
    // [T, K] broadcasts over batch and heads; [B, T, K] needs an axis for the heads.
    const [exactSin, exactCos] = [waves.sin, waves.cos].map((x) => (x.shape.length === 2 ? x : expandDims(x, 1))) as [
      Tensor,
      Tensor,
    ];
    return (x: Tensor): Tensor => {
      const [sin, cos] = [cast(exactSin, x.dtype), cast(exactCos, x.dtype)];
      const [first, second] = pairing.split(rotated === headWidth ? x : slice(x, -1, 0, rotated));
      const turned = pairing.join(sub(mul(first, cos), mul(second, sin)), add(mul(first, sin), mul(second, cos)));
      return rotated === headWidth ? turned : concat([turned, slice(x, -1, rotated)], -1);
    };
  };
  return { prepare: ({ query, key }) => ({ query: rotation(query), key: rotation(key) }) };
}

/**
 * Width of a head of which all features are rotated: modelWidth / heads.
 *
 * @throws RangeError when the heads do not divide the width, or the width of a head is odd
 */
export function rotaryWidth({ modelWidth, heads }: { readonly modelWidth: number; readonly heads: number }): number {
  const headWidth = headWidthOf("rotary", { modelWidth, heads });
  if (headWidth % 2 === 0) return headWidth;
  throw new RangeError(
    `rotary: heads have ${headWidth} features (modelWidth ${modelWidth} / heads ${heads}); ${needsPairs}`,
  );
}

const needsPairs = "features are rotated in pairs, so their number must be even";

/** Rotates values like keys: an option of RoFormer's code that is not in the paper. */
export function rotatingValues(rotation: QkTransform): QkTransform {
  return {
    prepare: (positions) => {
      const { query, key } = rotation.prepare(positions);
      return { query, key, value: key };
    },
  };
}

export type RotarySettings = {
  readonly base?: number;
  readonly pairing?: "halves" | "neighbours";
  readonly share?: number;
};

export const rotaryEntry: PositionEntry<"rotary", RotarySettings> = /* @__PURE__ */ positionEntry({
  name: "rotary",
  title: "Rotary positions",
  year: 2021,
  paper: "Su et al. 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding, arXiv:2104.09864",
  category: "rotation",
  summary: "queries and keys turned by an angle in proportion to position",
  formula: "(x, y) → (x·cos pω − y·sin pω, x·sin pω + y·cos pω)",
  cost: "no parameters; O(B·H·T·D) a layer",
  beyond: "loss rises beyond the training length, more slowly than with sinusoids",
  options: () =>
    z.strictObject({
      base: baseOption(),
      pairing: z.enum(["halves", "neighbours"]).default("halves").describe("which features turn together"),
      share: z.number().positive().max(1).default(1).describe("share of each head's features that turns"),
    }),
  make: ({ base, pairing, share }, { modelWidth, heads }) => {
    const headWidth = modelWidth / heads;
    const wanted = 2 * Math.max(1, Math.round((share * headWidth) / 2));
    const rotated = share === 1 || wanted > headWidth ? rotaryWidth({ modelWidth, heads }) : wanted;
    return { rotation: rotary(headWidth, { pairing: pairing === "halves" ? halves : neighbours, rotated, base }) };
  },
});
