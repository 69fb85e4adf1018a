import { broadcastTo, cast, constant, fromNumbers, type Shape, type Tensor } from "@tsformers/engine";

/** 1 for real positions, 0 for padding, float32 [B, L]; without a mask all are real. */
export function realOf(mask: Tensor | undefined, shape: Shape): Tensor {
  if (mask === undefined) return broadcastTo(constant(fromNumbers([1], [1, 1])), shape);
  return cast(cast(mask, "bool"), "float32");
}
