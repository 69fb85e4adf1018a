import { concat, recomputeEach, split, type Tensor } from "@tsformers/engine";
import { within } from "./dropout.ts";
import type { FeedForward } from "./feed-forward.ts";

export type ChunkOptions = {
  /** Positions of one chunk; the last one may be shorter. */
  readonly chunkLength: number;
  /** Discard each chunk after the forward pass and recompute it for the gradient, one at a time. Default: false. */
  readonly recompute?: boolean;
};

/**
 * A feed-forward network applied to `chunkLength` positions at a time: the same result, with only one chunk's hidden layer in
 * memory. In training the hidden layers are kept for the gradient, except with `recompute`.
 *
 * @shape  x [..., T, C] → [..., T, C]
 * @cost   that of the network, plus its forward pass once more with `recompute`; memory chunkLength·F instead of T·F
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", §3, arXiv:2001.04451
 * @differs dropout inside the network drops other elements than without chunks, since each chunk draws its own
 * @throws RangeError when chunkLength is not an integer ≥ 1
 */
export function chunkedFeedForward<Params>(ffn: FeedForward<Params>, options: ChunkOptions): FeedForward<Params> {
  const { chunkLength, recompute = false } = options;
  checkChunkLength("chunkedFeedForward", chunkLength);
  return {
    init: (key) => ffn.init(key),
    apply: (params, x, context) => {
      const chunks = intoChunks(x, chunkLength, -2);
      if (chunks.length === 1 && !recompute) return ffn.apply(params, x, context);
      const of = (i: number) => (chunk: Tensor) => ffn.apply(params, chunk, within(context, `chunk ${i}`));
      const results = recompute
        ? recomputeEach(chunks.map((x, i) => ({ x, fn: (x: Tensor) => [of(i)(x)] }))).flat()
        : chunks.map((x, i) => of(i)(x));
      return concat(results, -2);
    },
  };
}

/** Splits one axis into pieces of at most `chunkLength`. */
export function intoChunks(x: Tensor, chunkLength: number, axis: number): Tensor[] {
  const length = x.shape.at(axis)!;
  const whole = Math.floor(length / chunkLength);
  const rest = length - whole * chunkLength;
  const sizes = [...new Array<number>(whole).fill(chunkLength), ...(rest === 0 ? [] : [rest])];
  return sizes.length < 2 ? [x] : split(x, sizes, axis);
}

export function checkChunkLength(name: string, chunkLength: number): void {
  if (Number.isInteger(chunkLength) && chunkLength >= 1) return;
  throw new RangeError(`${name}: chunkLength must be an integer ≥ 1, got ${chunkLength}`);
}
