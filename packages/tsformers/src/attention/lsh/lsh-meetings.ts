import {
  add,
  and,
  cast,
  floor,
  greater,
  greaterEqual,
  lessEqual,
  mul,
  reshape,
  slice,
  sub,
  type Tensor,
} from "@tsformers/engine";
import type { Order } from "./lsh-order.ts";
import { type Reach, unseen } from "./lsh-reach.ts";

type Window = Pick<Order, "query" | "key" | "token">;

/**
 * The number of rounds in which each query of a window sees each of its keys: `N_ij = |{r : j ∈ P_i^(r)}|`.
 *
 * @param rowsOf gathers rows of tokens in window order: [N, chunk or W, E]
 * @shape  [N, chunk, W]
 * @cost   O(R) passes over all logits
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", §2, "Multi-round LSH attention", arXiv:2001.04451
 */
export function meetings(
  { query, key, token }: Window,
  rowsOf: { readonly ofQueries: (x: Tensor) => Tensor; readonly ofKeys: (x: Tensor) => Tensor },
  { chunk, window }: { readonly chunk: number; readonly window: number },
  reach: Reach,
): Tensor {
  const of = (labels: Tensor) => ({ query: rowsOf.ofQueries(labels), key: rowsOf.ofKeys(labels) });
  const [buckets, slots] = [of(token.bucket), of(token.slot)];
  const met = Array.from({ length: token.slot.shape.at(-1)! }, (_, round) => {
    const at = (x: Tensor): Tensor => slice(x, -1, round, round + 1);
    const across = (x: Tensor): Tensor => reshape(at(x), [x.shape[0]!, 1, window]);
    const own = { position: query.position, bucket: at(buckets.query), slot: at(slots.query) };
    const other = { position: key.position, bucket: across(buckets.key), slot: across(slots.key) };
    const far = sub(chunkOf(own.slot, chunk), chunkOf(other.slot, chunk));
    const near = and(greaterEqual(far, 0), lessEqual(far, window / chunk - 1));
    return cast(and(near, greater(reach.bound(own, other, mul(other.slot, 0)), unseen)), "float32");
  });
  return met.reduce((a, b) => add(a, b));
}

function chunkOf(slot: Tensor, chunk: number): Tensor {
  return floor(mul(slot, 1 / chunk));
}
