import { gather, reshape, type Tensor } from "@tsformers/engine";

/** Of a mask [B, S] what concerns the position at hand, [B, 1]; a mask of one column is of that position. */
export function maskAt(mask: Tensor | undefined, position: Tensor): Tensor | undefined {
  return mask === undefined || mask.shape[1] === 1 ? mask : gather(mask, reshape(position, [1]), 1);
}
