import {
  add,
  cast,
  concat,
  constant,
  div,
  equal,
  expandDims,
  fromNumbers,
  gather,
  iota,
  mod,
  mul,
  or,
  pad,
  reshape,
  scatterSet,
  slice,
  sort,
  sub,
  type Tensor,
  transpose,
  where,
  zeros,
} from "@tsformers/engine";
import type { Slots } from "./lsh-reach.ts";

/** How sorted tokens are cut into chunks. */
export type Chunking = {
  /** Tokens in a chunk. */
  readonly chunk: number;
  /** How many chunks before its own a query looks at. */
  readonly chunksBack: number;
  /** Whether the first chunk of a round looks back at the last chunk of the round before (the first round: at that of the last round). */
  readonly wraps: boolean;
  /** Rounds are filled up to a multiple of so many tokens, itself one of `chunk`. */
  readonly multiple: number;
};

/** The tokens of every head and round, sorted by bucket, then position, and cut into N chunks over all rounds, each with W keys. */
export type Order = {
  /** Whether chunks look back into another round. */
  readonly wraps: boolean;
  /** The tokens of each chunk, int32 [B·H, N, chunk]; fill in the last chunk of a round repeats some token. */
  readonly queries: Tensor;
  /** The tokens that each chunk looks at, int32 [B·H, N, W]. */
  readonly keys: Tensor;
  /** Index of each token in the sorted order of each round, int32 [B·H, R, T]. */
  readonly places: Tensor;
  /** Labels of `queries` [B·H, N, chunk, 1] and `keys` [B·H, N, 1, W]. */
  readonly query: Slots;
  readonly key: Slots;
  /** Subtracted from the bound of `keys`: very large for padding and for missing chunks, [B·H, N, 1, W]. */
  readonly hidden: Tensor;
  /** For each token, its bucket in each round and its index in that round's order, [B·H, T, R], float32. */
  readonly token: { readonly bucket: Tensor; readonly slot: Tensor };
};

const veryLarge = 2 ** 60;

/**
 * Sorts tokens by bucket, stably, and cuts them into chunks.
 *
 * @param keyMask 1 for real tokens, 0 for padding, [B, T]
 * @shape  buckets int32 [B, H, R, T]
 * @cost   O(B·H·R·T·log T) time
 * @throws RangeError when the sort keys would not fit into 31 bits
 */
export function sortIntoChunks(
  buckets: Tensor,
  count: number,
  { chunk, chunksBack, wraps, multiple }: Chunking,
  keyMask?: Tensor,
): Order {
  const [batch, heads, rounds, length] = buckets.shape as [number, number, number, number];
  const lines = batch * heads;
  const filled = Math.ceil(length / multiple) * multiple;
  const chunks = filled / chunk;
  if ((count + 1) * length >= 2 ** 31) {
    throw new RangeError(`lsh: ${count} buckets of ${length} tokens give sort keys of more than 31 bits`);
  }
  // Bucket and position in one number: sorting is stable on every runtime, and both can be recovered.
  const numbered = add(mul(reshape(buckets, [lines, rounds, length]), length), iota(length));
  const sorted = sort(numbered, -1);
  const tokens = mod(sorted, length);
  const fill = (x: Tensor, value: number): Tensor =>
    filled === length ? x : concat([x, add(zeros([lines, rounds, filled - length], x.dtype), value)], -1);
  const token = fill(tokens, 0);
  const inRound = fill(cast(div(sub(sorted, tokens), length), "float32"), count + 1);
  // Chunks that wrap around see tokens of another round, where the same bucket number means another bucket.
  const bucket = wraps ? add(inRound, reshape(mul(iota(rounds, 0, "float32"), count + 2), [1, rounds, 1])) : inRound;
  const slot = cast(add(zeros([lines, rounds, filled], "int32"), iota(filled)), "float32");
  const inChunks = (x: Tensor): Tensor => reshape(x, [lines, rounds * chunks, chunk]);
  const back = (x: Tensor, missing: number): Tensor => {
    const own = inChunks(x);
    return chunksBack === 0 ? own : concat([...lookBack(own, { rounds, chunksBack, wraps, missing }), own], -1);
  };
  const position = cast(token, "float32");
  const real = hiddenOf(token, keyMask, heads, length);
  const labels = (x: Tensor): Slots["slot"] => expandDims(back(x, 0), -2);
  const places = placesOf(tokens);
  const byToken = (x: Tensor): Tensor => transpose(cast(x, "float32"), [0, 2, 1]);
  return {
    wraps,
    queries: inChunks(token),
    keys: back(token, 0),
    places,
    query: {
      position: expandDims(inChunks(position), -1),
      bucket: expandDims(inChunks(bucket), -1),
      slot: expandDims(inChunks(slot), -1),
    },
    key: { position: labels(position), bucket: labels(bucket), slot: labels(slot) },
    hidden: expandDims(back(real, veryLarge), -2),
    token: { bucket: byToken(reshape(buckets, places.shape)), slot: byToken(places) },
  };
}

/** The chunks before each chunk, the furthest first: each [B·H, N, chunk]. */
function lookBack(
  own: Tensor,
  { rounds, chunksBack, wraps, missing }: { rounds: number; chunksBack: number; wraps: boolean; missing: number },
): Tensor[] {
  const [lines, all, chunk] = own.shape as [number, number, number];
  return Array.from({ length: chunksBack }, (_, i) => {
    const far = chunksBack - i;
    if (wraps) {
      const turn = far % all;
      return turn === 0 ? own : concat([slice(own, 1, all - turn), slice(own, 1, 0, all - turn)], 1);
    }
    const byRound = reshape(own, [lines, rounds, all / rounds, chunk]);
    const stay = Math.max(0, all / rounds - far);
    const moved = pad(
      slice(byRound, 2, 0, stay),
      [
        [0, 0],
        [0, 0],
        [all / rounds - stay, 0],
        [0, 0],
      ],
      missing,
    );
    return reshape(moved, own.shape);
  });
}

/** Very large for padding and for fill at the end of a round, 0 otherwise, [B·H, R, filled]. */
function hiddenOf(token: Tensor, keyMask: Tensor | undefined, heads: number, length: number): Tensor {
  const [lines, , filled] = token.shape as [number, number, number];
  const beyond = constant(
    fromNumbers(
      Array.from({ length: filled }, (_, i) => (i < length ? 0 : veryLarge)),
      [1, 1, filled],
    ),
  );
  if (keyMask === undefined) return add(zeros(token.shape), beyond);
  const batch = lines / heads;
  const row = reshape(mul(iota(batch), length), [batch, 1, 1, 1]);
  const rows = reshape(add(reshape(token, [batch, heads, -1, filled]), row), token.shape);
  const padding = equal(gather(reshape(cast(keyMask, "int32"), [-1]), rows), 0);
  return where(or(padding, equal(beyond, veryLarge)), veryLarge, 0);
}

/** The inverse of each permutation, by row and round. */
function placesOf(tokens: Tensor): Tensor {
  const [lines, rounds, length] = tokens.shape as [number, number, number];
  const line = reshape(mul(iota(lines * rounds), length), [lines, rounds, 1]);
  const rows = reshape(add(tokens, line), [-1]);
  const places = reshape(add(zeros(tokens.shape, "int32"), iota(length)), [-1]);
  return reshape(scatterSet(zeros(rows.shape, "int32"), rows, places), tokens.shape);
}
