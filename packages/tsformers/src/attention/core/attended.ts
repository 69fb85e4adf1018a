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
  readonly dropoutRate?: number;
  readonly context: Context;
};
