import { add, expandDims, gather, iota, mul, reshape, scatterSet, type Tensor } from "@tsformers/engine";

/**
 * The entries of a memory at places that each row of the batch, and each head, has of its own.
 *
 * @shape  x [B, H, E, D], places int32 [1 or B, 1 or H, ...] → [B, H, ..., D]
 */
export function entriesAt(x: Tensor, places: Tensor): Tensor {
  return gather(asRows(x), rowNumbers(x, places), 0);
}

/**
 * A memory with new entries at places, which must differ from each other.
 *
 * @shape  x [B, H, E, D], places int32 [1 or B, T], entries [B, H, T, D] → [B, H, E, D]
 */
export function withEntriesAt(x: Tensor, places: Tensor, entries: Tensor): Tensor {
  const rows = rowNumbers(x, expandDims(places, 1));
  return reshape(scatterSet(asRows(x), rows, entries), x.shape);
}

/** [B, H, E, D] → [B·H·E, D] */
function asRows(x: Tensor): Tensor {
  return reshape(x, [x.shape[0]! * x.shape[1]! * x.shape[2]!, x.shape[3]!]);
}

function rowNumbers(x: Tensor, places: Tensor): Tensor {
  const [batch, heads, size] = x.shape as [number, number, number];
  const first = mul(iota(batch * heads), size);
  return add(places, reshape(first, [batch, heads, ...places.shape.slice(2).map(() => 1)]));
}
