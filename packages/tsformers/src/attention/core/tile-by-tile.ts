import {
  add,
  after,
  broadcastTo,
  cast,
  concat,
  exp,
  greater,
  matmul,
  mul,
  ones,
  reshape,
  slice,
  split,
  type Tensor,
  transpose,
  zeros,
} from "@tsformers/engine";
import type { View } from "../../kinds/index.ts";
import { groupBy } from "../../schema/group-by.ts";
import { present } from "../../schema/present.ts";
import { joinParts } from "./join-parts.ts";
import type { Plan } from "./plan.ts";
import { hidden, hidingOf, type Mixed } from "./query-block.ts";
import { type Cuts, concatenated, cutsOf } from "./segments.ts";
import { mixedPart } from "./softmax-values.ts";

/** Of a plan: queries [B, H, T, D], keys and values [B, K, S, ·]. */
export type QueriesAndKeys = { readonly q: Tensor; readonly key: Tensor; readonly value: Tensor };

export type TilesOptions = { readonly scale: number; readonly view: View };

/**
 * What the queries of a plan mix, tile after tile.
 *
 * @shape mixed [B, H, T, ·], sums [B, H, T, 1]
 */
export function mixTiles(
  plan: Plan,
  { q, key, value }: QueriesAndKeys,
  { view, scale }: TilesOptions,
): Required<Mixed> {
  const [heads, shared] = [q.shape[1]!, key.shape[1]!];
  const rows = rowsOf(plan, q.shape[2]!);
  const hiding = hidingIn(plan, view, heads / shared);
  const masked = view.keyMask !== undefined || view.visible !== undefined;
  const [keys, values] = [keysIn(key, plan), keysIn(value, plan)];
  const results: Required<Mixed>[] = [];
  let done: readonly Tensor[] = [];
  // From last to first: if later rows have more tiles, the memory of the first of them suffices for all others.
  for (const [i, row] of [...rows.entries()].reverse()) {
    const queries = fold(slice(q, 2, ...row.queries), shared);
    const parts = row.tiles.map((tile) => {
      const next = after(queries, ...done);
      const product = matmul(next, keys(tile), { transposeB: true, scale });
      const mask = hiding(next, tile);
      const { mixed, sums } = mixedPart(mask === undefined ? product : add(product, mask), values(tile));
      done = [mixed, sums];
      return { mixed, sums };
    });
    const { mixed, sums } = parts.length === 0 ? nothingOf(queries, value) : (joinParts(parts) as Required<Mixed>);
    const mayBeBlind = masked || row.tiles.every((tile) => plan.blocks[tile]!.blind);
    const seeing = mayBeBlind ? mul(mixed, cast(greater(sums, hidden / 2), "float32")) : mixed;
    results[i] = { mixed: unfold(seeing, heads), sums: unfold(sums, heads) };
  }
  return {
    mixed: concatenated(results.map(({ mixed }) => mixed)),
    sums: concatenated(results.map(({ sums }) => sums)),
  };
}

/** What the gradients of tiles need beside queries, keys and values. */
export type Cotangents = {
  /** Gradient of what is mixed, [B, H, T, ·]. */
  readonly dMixed: Tensor;
  /** −L/scale of each query's log-normaliser L, and −D, both [B, H, T, 1]. */
  readonly lowering: Tensor;
  readonly offset: Tensor;
};

/** Gradients with respect to queries, keys and values, tile after tile. */
export function gradientsOfTiles(
  plan: Plan,
  { q, key, value, dMixed, lowering, offset }: QueriesAndKeys & Cotangents,
  { view, scale }: TilesOptions,
): readonly [dQuery: Tensor, dKey: Tensor, dValue: Tensor] {
  const [heads, shared] = [q.shape[1]!, key.shape[1]!];
  const rows = rowsOf(plan, q.shape[2]!);
  const hiding = hidingIn(plan, view, heads / shared);
  const cuts = cutsOf(plan, key.shape[2]!);
  const keys = keysIn(key, plan);
  const [longKeys, longValues] = [key, value].map((x) => keysIn(withOnes(x), plan));
  const [dKey, dValue] = [new PieceSums(cuts, key), new PieceSums(cuts, value)];
  const dQueries: Tensor[] = [];
  let done: readonly Tensor[] = [];
  for (const [i, row] of [...rows.entries()].reverse()) {
    const inRow = (x: Tensor) => fold(slice(x, 2, ...row.queries), shared);
    const [queries, dOut] = [inRow(q), inRow(dMixed)];
    const longQueries = concat([after(queries, ...done), inRow(lowering)], -1);
    const longOut = concat([after(dOut, ...done), inRow(offset)], -1);
    let dQuery: Tensor | undefined;
    for (const tile of row.tiles.toReversed()) {
      const next = after(longQueries, ...done);
      const own = tileGradients(
        {
          ...{ queries, longQueries: next, dOut, longOut },
          ...{ key: keys(tile), longKey: longKeys!(tile), longValue: longValues!(tile) },
          ...present({ hiding: hiding(next, tile) }),
        },
        scale,
      );
      dQuery = dQuery === undefined ? own.dQuery : add(dQuery, own.dQuery);
      done = [dQuery, ...dKey.add(tile, own.dKey), ...dValue.add(tile, own.dValue)];
    }
    dQueries[i] = unfold(dQuery ?? mul(queries, 0), heads);
  }
  return [concatenated(dQueries), dKey.whole(), dValue.whole()];
}

/** A tile's queries with the gradient of what they mix, and its keys with their values; the long ones have one more feature, which is subtracted, or 1. */
type TileOfGradient = {
  readonly queries: Tensor;
  readonly longQueries: Tensor;
  readonly dOut: Tensor;
  readonly longOut: Tensor;
  readonly key: Tensor;
  readonly longKey: Tensor;
  readonly longValue: Tensor;
  readonly hiding?: Tensor;
};

/** Gradients with respect to a tile's queries, keys and values. Its weights lie with the keys first, so that two of three products need no transpose. */
function tileGradients(
  { queries, longQueries, dOut, longOut, key, longKey, longValue, hiding }: TileOfGradient,
  scale: number,
): { dQuery: Tensor; dKey: Tensor; dValue: Tensor } {
  const logits = matmul(longKey, longQueries, { transposeB: true, scale });
  const weights = exp(hiding === undefined ? logits : add(logits, transpose(hiding, [0, 1, 3, 2])));
  const dLogits = mul(weights, matmul(longValue, longOut, { transposeB: true }));
  return {
    dQuery: matmul(dLogits, key, { transposeA: true, scale }),
    dKey: matmul(dLogits, queries, { scale }),
    dValue: matmul(weights, dOut),
  };
}

/** What is added to a tile's logits, of queries whose heads are folded, `each` of them into one. */
function hidingIn(plan: Plan, view: View, each: number): (queries: Tensor, tile: number) => Tensor | undefined {
  return (queries, tile) => {
    const about = { view, plan, blocks: [plan.blocks[tile]!], recomputed: true };
    const hiding = hidingOf(queries, queries.shape[1]! * each, about);
    return hiding && foldMask(hiding, each);
  };
}

/** Queries, and the blocks of a plan that hold their keys. */
type Row = { readonly queries: readonly [from: number, to: number]; readonly tiles: readonly number[] };

/** The rows of all queries; those that no block has are rows without tiles. */
function rowsOf({ blocks }: Plan, queries: number): Row[] {
  const tiles = groupBy([...blocks.keys()], (tile) => blocks[tile]!.queries[0]);
  const rows: Row[] = [];
  let end = 0;
  for (const [from, own] of [...tiles, [queries, []] as const]) {
    if (from > end) rows.push({ queries: [end, from], tiles: [] });
    if (own.length > 0) rows.push({ queries: blocks[own[0]!]!.queries, tiles: own });
    end = rows.at(-1)!.queries[1];
  }
  return rows;
}

/** x [B, K, S, D] → the keys of a tile, cut once for all tiles that have the same. */
function keysIn(x: Tensor, { blocks }: Plan): (tile: number) => Tensor {
  const known = new Map<string, Tensor>();
  return (tile) => {
    const { keys } = blocks[tile]!;
    const cut = () =>
      concatenated(Array.from({ length: keys.length / 2 }, (_, i) => slice(x, 2, keys[2 * i]!, keys[2 * i + 1]!)));
    const own = known.get(keys.join()) ?? cut();
    known.set(keys.join(), own);
    return own;
  };
}

/** Before any key is seen. It hangs on the queries: as constants, those of all rows would be kept in memory. */
function nothingOf(queries: Tensor, value: Tensor): Required<Mixed> {
  const none = mul(slice(queries, -1, 0, 1), 0);
  return { mixed: broadcastTo(none, [...none.shape.slice(0, -1), value.shape.at(-1)!]), sums: add(none, hidden) };
}

/** Sums of gradients of keys, or of values, by piece. */
class PieceSums {
  readonly #cuts: Cuts;
  readonly #like: Tensor;
  readonly #sums: (Tensor | undefined)[];

  constructor(cuts: Cuts, like: Tensor) {
    this.#cuts = cuts;
    this.#like = like;
    this.#sums = cuts.sizes.map(() => undefined);
  }

  /** @returns the sums as far as they go now */
  add(tile: number, gradient: Tensor): Tensor[] {
    const pieces = this.#cuts.of(tile);
    const sizes = pieces.map((piece) => this.#cuts.sizes[piece]!);
    const parts = pieces.length === 1 ? [gradient] : split(gradient, sizes, 2);
    return pieces.map((piece, i) => this.#addPiece(piece, parts[i]!));
  }

  #addPiece(piece: number, gradient: Tensor): Tensor {
    const before = this.#sums[piece];
    const sum = before === undefined ? gradient : add(before, gradient);
    this.#sums[piece] = sum;
    return sum;
  }

  /** Keys that no tile has get 0. */
  whole(): Tensor {
    return concatenated(this.#sums.map((sum, piece) => sum ?? zeros(this.#shapeOf(piece))));
  }

  #shapeOf(piece: number): number[] {
    const [batch, heads, , features] = this.#like.shape as [number, number, number, number];
    return [batch, heads, this.#cuts.sizes[piece]!, features];
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
