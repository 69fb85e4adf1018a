import { gather, reshape, type Tensor } from "@tsformers/engine";

/** The column of a mask [B, S] at `position` (int32 scalar), [B, 1]. A mask of one column already belongs to that position. */
export function maskAt(mask: Tensor | undefined, position: Tensor): Tensor | undefined {
  return mask === undefined || mask.shape[1] === 1 ? mask : gather(mask, reshape(position, [1]), 1);
}
