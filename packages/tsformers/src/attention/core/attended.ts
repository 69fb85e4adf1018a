import type { Tensor } from "@tsformers/engine";
import type { AttentionMap, Context, View } from "../../kinds/index.ts";

export type Attended = {
  /** [B, H, T, D] */
  readonly mixed: Tensor;
  readonly map: () => AttentionMap;
};

export type AttendOptions = {
  readonly view: View;
  /** Factor of the logits. */
  readonly scale: number;
  /** Logits stay within ± this, by {@link softCap}, before position schemes change them. Default: they are not capped. */
  readonly cap?: number;
  /** A logit for each head, [H], that takes part in the softmax and has no value. Default: there is none. */
  readonly sink?: Tensor;
  readonly dropoutRate?: number;
  readonly context: Context;
};
