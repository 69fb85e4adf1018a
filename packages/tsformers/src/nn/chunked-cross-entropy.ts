import { concat, recomputeEach, reshape, type Tensor } from "@tsformers/engine";
import { checkChunkLength, intoChunks } from "./chunked.ts";
import { crossEntropies } from "./cross-entropy.ts";

export type ChunkedCrossEntropyOptions = {
  /** Positions, over all rows of the batch, whose logits are in memory at a time. */
  readonly chunkLength: number;
  readonly smoothing?: number;
};

/**
 * −log p(target) at every position from hidden states: {@link crossEntropies} of `head(x)` without ever holding all logits [..., V].
 * The logits of each chunk are reduced to losses and discarded, and recomputed for the gradient.
 *
 * @param head logits of hidden states [n, C] → [n, V]
 * @shape  x [..., C], targets int [...] → [...]
 * @cost   the head's product once more for the gradient; memory chunkLength·V instead of B·T·V
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", §3, arXiv:2001.04451
 * @throws RangeError when chunkLength is not an integer ≥ 1
 */
export function chunkedCrossEntropies(
  x: Tensor,
  head: (x: Tensor) => Tensor,
  targets: Tensor,
  { chunkLength, ...options }: ChunkedCrossEntropyOptions,
): Tensor {
  checkChunkLength("chunkedCrossEntropies", chunkLength);
  const states = intoChunks(reshape(x, [-1, x.shape.at(-1)!]), chunkLength, 0);
  const wanted = intoChunks(reshape(targets, [-1]), chunkLength, 0);
  const losses = recomputeEach(
    states.map((x, i) => ({ x, fn: (x: Tensor) => [crossEntropies(head(x), wanted[i]!, options)] })),
  );
  return reshape(concat(losses.flat(), 0), targets.shape);
}
