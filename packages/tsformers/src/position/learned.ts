import { gather, minimum, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { PositionEmbedding } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import type { NoSettings } from "../schema/entry.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

/**
 * One learned vector per position.
 *
 * @shape  positions [T] or [B, T] int32 → [T, C] or [B, T, C]; weight [length, C]
 * @source Gehring et al. 2017, arXiv:1705.03122; used by GPT and BERT
 * @differs positions at or beyond `length` take the vector of the last position, so that a loss can be measured there; generation
 *   stops before them
 */
export function learned(
  length: number,
  width: number,
  initial: Initial = normalInitial(),
): PositionEmbedding<{ weight: Tensor }> {
  return {
    length,
    init: (key) => ({ weight: initial(key, [length, width]) }),
    apply: ({ weight }, positions) => gather(weight, minimum(positions, length - 1)),
  };
}

export const learnedEntry: PositionEntry<"learned", NoSettings> = /* @__PURE__ */ positionEntry({
  name: "learned",
  title: "Learned positions",
  year: 2017,
  paper: "Gehring et al. 2017, Convolutional Sequence to Sequence Learning, arXiv:1705.03122",
  category: "inputs",
  summary: "a trained vector for each position, added to the inputs",
  formula: "x[t] = token[t] + P[t], P [length, C]",
  cost: "length·C parameters",
  beyond: "undefined: positions past the table take its last vector; generation ends before them",
  options: () => z.strictObject({}),
  make: (_, { length, modelWidth, initial }) => ({ positions: learned(length, modelWidth, initial) }),
});
