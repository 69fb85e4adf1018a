import {
  add,
  after,
  broadcastTo,
  cast,
  concat,
  customGradient,
  exp,
  greater,
  log,
  matmul,
  max,
  mul,
  neg,
  ones,
  reshape,
  slice,
  softmax,
  split,
  sub,
  sum,
  type Tensor,
  transpose,
  where,
  zeros,
  zerosLike,
} from "@tsformers/engine";
import type { View } from "../../kinds/index.ts";
import { present } from "../../schema/present.ts";
import { joinParts } from "./join-parts.ts";
import type { Plan } from "./plan.ts";
import { type BlockInput, hidden, hidingOf, type Mixed } from "./query-block.ts";
import { type Cuts, concatenated, cutsOf, piecesOf } from "./segments.ts";

type TilesInput = {
  readonly q: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly view: View;
  readonly scale: number;
};

/**
 * `softmax(scale·q·kᵀ)·v` tile by tile: some queries with some of their keys. Nothing of a tile is kept for the gradient but each query's
 * log-normaliser L, from which its weights are computed again; tiles follow each other in both directions, so that the memory is that
 * of one tile beside queries, keys, values and their gradients.
 *
 * The gradient's element-wise work on a tile is one exponential and one product, since what is subtracted is folded into the matrix
 * products as one more feature: with D = Σ dO ∘ O of each query, `P = exp([k, 1]·[scale·q, −L]ᵀ)` and
 * `dP − D = [v, 1]·[dO, −D]ᵀ`, keys first: two of the three products that follow then need no transpose.
 *
 * @param plans one for all heads, or one for each, block by block of the same queries and equally many keys
 * @shape  q [B, H, T, D], key and value [B, K, S, ·], in the order of the plans → mixed [B, H, T, ·], sums [B, H, T, 1]
 * @source Dao et al. 2022, "FlashAttention", §3.1 and appendix B, arXiv:2205.14135
 */
export function attendTiles(plans: readonly Plan[], { q, key, value, view, scale }: TilesInput): Required<Mixed> {
  const rows = rowsOf(plans[0]!);
  const cuts = plans.map((plan) => cutsOf(plan, key.shape[2]!));
  const masks = [view.keyMask, view.visible].filter((mask) => mask !== undefined);
  const shared = key.shape[1]!;
  const mayBeBlind = (row: Row) =>
    masks.length > 0 || row.tiles.every((tile) => plans.some((p) => p.blocks[tile]!.blind));
  /** Masks are arguments: what a gradient rule reads must be. */
  const hidingBy = (given: readonly Tensor[]) => {
    const [keyMask, visible] = view.keyMask === undefined ? [undefined, given[0]] : given;
    const shown: View = { ...view, ...present({ keyMask, visible }) };
    return (queries: Tensor, tile: number) => {
      const input: Pick<BlockInput, "view" | "plan" | "blocks" | "recomputed"> = {
        view: shown,
        plan: plans[0]!,
        blocks: plans.map(({ blocks }) => blocks[tile]!),
        recomputed: true,
      };
      const hiding = hidingOf(queries, q.shape[1]!, input);
      return hiding && foldMask(hiding, q.shape[1]! / shared);
    };
  };

  const inRows = (x: Tensor) =>
    split(
      x,
      rows.map(({ queries: [from, to] }) => to - from),
      2,
    );

  const forward = (q: Tensor, key: Tensor, value: Tensor, ...given: Tensor[]): Tensor[] => {
    const hidingOf = hidingBy(given);
    const [queries, keys, values] = [inRows(q), inTiles(key, cuts), inTiles(value, cuts)];
    const results: Required<Mixed>[] = [];
    let done: Tensor[] = [];
    // From last to first: if later rows have more tiles, the memory of the first of them suffices for all others.
    for (let i = rows.length - 1; i >= 0; i--) {
      const row = rows[i]!;
      const own = fold(queries[i]!, shared);
      const parts = row.tiles.map((tile) => {
        const next = after(own, ...done);
        const part = mixTile(matmul(next, keys(tile), { transposeB: true, scale }), hidingOf(next, tile), values(tile));
        done = [part.mixed, part.sums];
        return part;
      });
      const { mixed, sums } = joinParts(parts) as Required<Mixed>;
      const seeing = mayBeBlind(row) ? mul(mixed, cast(greater(sums, hidden / 2), "float32")) : mixed;
      results[i] = { mixed: unfold(seeing, q.shape[1]!), sums: unfold(sums, q.shape[1]!) };
    }
    return [concatenated(results.map(({ mixed }) => mixed)), concatenated(results.map(({ sums }) => sums))];
  };

  const backward = (
    [q, key, value, ...given]: readonly Tensor[],
    [mixed, sums]: readonly Tensor[],
    [dMixed = zerosLike(mixed!), dSums]: readonly (Tensor | undefined)[],
  ): Tensor[] => {
    const hidingOf = hidingBy(given);
    const taken = sum(mul(dMixed, mixed!), { axes: -1, keepDims: true });
    const offset = dSums === undefined ? neg(taken) : sub(dSums, taken);
    // Queries that see nothing have weights of 0, whatever they are taken for in the forward pass.
    const lowering = where(greater(sums!, hidden / 2), mul(sums!, -1 / scale), hidden / scale);
    const byRow = [q!, dMixed, lowering, offset].map(inRows);
    const keys = inTiles(key!, cuts);
    const [longKeys, longValues] = [inTiles(withOnes(key!), cuts), inTiles(withOnes(value!), cuts)];
    const [dKey, dValue] = [new PieceSums(cuts), new PieceSums(cuts)];
    const dQueries: Tensor[] = [];
    let done: readonly Tensor[] = [];
    for (let i = rows.length - 1; i >= 0; i--) {
      const row = rows[i]!;
      const [queries, dOut, ownLowering, ownOffset] = byRow.map((rows) => fold(rows[i]!, shared)) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      const longQueries = concat([after(queries, ...done), ownLowering], -1);
      const longOut = concat([after(dOut, ...done), ownOffset], -1);
      let dQuery: Tensor | undefined;
      for (const tile of row.tiles.toReversed()) {
        const next = after(longQueries, ...done);
        const logits = matmul(longKeys(tile), next, { transposeB: true, scale });
        const hiding = hidingOf(next, tile);
        const weights = exp(hiding === undefined ? logits : add(logits, transpose(hiding, [0, 1, 3, 2])));
        const dLogits = mul(weights, matmul(longValues(tile), longOut, { transposeB: true }));
        const part = matmul(dLogits, keys(tile), { transposeA: true, scale });
        dQuery = dQuery === undefined ? part : add(dQuery, part);
        const dKeys = dKey.add(tile, matmul(dLogits, queries, { scale }));
        done = [dQuery, ...dKeys, ...dValue.add(tile, matmul(weights, dOut))];
      }
      dQueries[i] = unfold(dQuery!, q!.shape[1]!);
    }
    return [concatenated(dQueries), dKey.whole(key!), dValue.whole(value!)];
  };

  const [mixed, sums] = customGradient({
    forward: (...inputs) => forward(...(inputs as [Tensor, Tensor, Tensor])),
    backward: ({ inputs, outputs, cotangents }) => backward(inputs, outputs, cotangents),
  })(q, key, value, ...masks);
  return { mixed: mixed!, sums: sums! };
}

/** Queries, and the blocks of a plan that hold their keys. */
type Row = { readonly queries: readonly [from: number, to: number]; readonly tiles: readonly number[] };

function rowsOf({ blocks }: Plan): Row[] {
  const rows = new Map<number, { queries: readonly [number, number]; tiles: number[] }>();
  blocks.forEach(({ queries }, tile) => {
    const row = rows.get(queries[0]) ?? { queries, tiles: [] };
    rows.set(queries[0], row);
    row.tiles.push(tile);
  });
  return [...rows.values()];
}

/** The log-normaliser is the largest logit less the logarithm of its weight. */
function mixTile(product: Tensor, hiding: Tensor | undefined, values: Tensor): Required<Mixed> {
  const logits = hiding === undefined ? product : add(product, hiding);
  const weights = softmax(logits);
  const largest = (x: Tensor) => max(x, { axes: -1, keepDims: true });
  return { mixed: matmul(weights, values), sums: sub(largest(logits), log(largest(weights))) };
}

/** x [B, K, S, D] → the keys of a tile. */
function inTiles(x: Tensor, cuts: readonly Cuts[]): (tile: number) => Tensor {
  if (cuts.length === 1) return piecesOf(x, cuts[0]!);
  const heads = cuts.map((own, head) => piecesOf(slice(x, 1, head, head + 1), own));
  return (tile) =>
    concat(
      heads.map((pieces) => pieces(tile)),
      1,
    );
}

/** Sums of gradients of tiles, by piece. */
class PieceSums {
  readonly #cuts: readonly Cuts[];
  readonly #sums: (Tensor | undefined)[][];

  constructor(cuts: readonly Cuts[]) {
    this.#cuts = cuts;
    this.#sums = cuts.map(({ sizes }) => sizes.map(() => undefined));
  }

  /** @returns the sums as far as they go now */
  add(tile: number, gradient: Tensor): Tensor[] {
    return this.#cuts.flatMap(({ sizes, of }, head) => {
      const own = this.#cuts.length === 1 ? gradient : slice(gradient, 1, head, head + 1);
      const pieces = of(tile);
      const parts =
        pieces.length === 1
          ? [own]
          : split(
              own,
              pieces.map((piece) => sizes[piece]!),
              2,
            );
      return pieces.map((piece, i) => {
        const before = this.#sums[head]![piece];
        const after = before === undefined ? parts[i]! : add(before, parts[i]!);
        this.#sums[head]![piece] = after;
        return after;
      });
    });
  }

  /** Keys that no tile has get 0. */
  whole(like: Tensor): Tensor {
    const [batch, heads, , width] = like.shape as [number, number, number, number];
    const own = this.#cuts.length === 1 ? heads : 1;
    const all = this.#sums.map((sums, head) =>
      concatenated(sums.map((sum, i) => sum ?? zeros([batch, own, this.#cuts[head]!.sizes[i]!, width], like.dtype))),
    );
    return all.length === 1 ? all[0]! : concat(all, 1);
  }
}

/** One more feature of each position, which is 1. */
function withOnes(x: Tensor): Tensor {
  return concat([x, ones([...x.shape.slice(0, -1), 1], x.dtype)], -1);
}

/** [B, H, T, D] → [B, K, H/K·T, D]: the queries of all heads that share keys, one head after the other. */
function fold(x: Tensor, shared: number): Tensor {
  const [batch, heads, , width] = x.shape as [number, number, number, number];
  return heads === shared ? x : reshape(x, [batch, shared, -1, width]);
}

/** Inverse of {@link fold}. */
function unfold(x: Tensor, heads: number): Tensor {
  const [batch, shared, , width] = x.shape as [number, number, number, number];
  return heads === shared ? x : reshape(x, [batch, heads, -1, width]);
}

/** {@link fold} of a mask [1 or B, 1 or H, 1 or T, S], for `each` heads that share keys. */
function foldMask(mask: Tensor, each: number): Tensor {
  const [batch, heads, rows, columns] = mask.shape as [number, number, number, number];
  if (each === 1 || (heads === 1 && rows === 1)) return mask;
  const all = heads === 1 ? broadcastTo(mask, [batch, each, rows, columns]) : mask;
  return reshape(all, [batch, heads === 1 ? 1 : heads / each, -1, columns]);
}
