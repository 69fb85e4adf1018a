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
  scan,
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
import { hidden, hidingOf, type Mixed } from "./query-block.ts";
import { type Cuts, concatenated, cutsOf } from "./segments.ts";

type TilesInput = {
  readonly q: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly view: View;
  readonly scale: number;
  /** The most tiles of a row that are written out; of more, those that are alike are looped over. Default: 16. */
  readonly writtenOut?: number;
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
 * @shape  q [B, H, T, D], key and value [B, K, S, ·], in the order of the plan → mixed [B, H, T, ·], sums [B, H, T, 1]
 * @source Dao et al. 2022, "FlashAttention", §3.1 and appendix B, arXiv:2205.14135
 */
export function attendTiles(plan: Plan, { q, key, value, view, scale, writtenOut = 16 }: TilesInput): Required<Mixed> {
  const [heads, shared] = [q.shape[1]!, key.shape[1]!];
  const masks = [view.keyMask, view.visible].filter((mask) => mask !== undefined);
  const cuts = cutsOf(plan, key.shape[2]!);
  const rows = rowsOf(plan);
  const looped = masks.length === 0 && rows.some(({ tiles }) => tiles.length > writtenOut);
  const partsOf = (row: Row): readonly (number | Run)[] => (looped ? withRuns(plan, cuts, row.tiles) : row.tiles);
  const mayBeBlind = ({ tiles }: Row) => masks.length > 0 || tiles.every((tile) => plan.blocks[tile]!.blind);
  /** Masks are arguments: what a gradient rule reads must be. */
  const hidingBy = (given: readonly Tensor[]) => {
    const [keyMask, visible] = view.keyMask === undefined ? [undefined, given[0]] : given;
    const shown: View = { ...view, ...present({ keyMask, visible }) };
    return (queries: Tensor, tile: number) => {
      const hiding = hidingOf(queries, heads, { view: shown, plan, blocks: [plan.blocks[tile]!], recomputed: true });
      return hiding && foldMask(hiding, heads / shared);
    };
  };
  const inRow = (x: Tensor, { queries }: Row) => fold(slice(x, 2, ...queries), shared);

  const forward = (q: Tensor, key: Tensor, value: Tensor, ...given: Tensor[]): Tensor[] => {
    const hidingOf = hidingBy(given);
    const [keys, values] = [keysIn(key, plan, !looped), keysIn(value, plan, !looped)];
    const [keyRuns, valueRuns] = [runsOf(key, cuts), runsOf(value, cuts)];
    const results: Required<Mixed>[] = [];
    let done: Tensor[] = [];
    // From last to first: if later rows have more tiles, the memory of the first of them suffices for all others.
    for (let i = rows.length - 1; i >= 0; i--) {
      const queries = inRow(q, rows[i]!);
      const parts: Required<Mixed>[] = [];
      const mix = (part: (product: (key: Tensor) => Tensor, queries: Tensor) => Required<Mixed>) => {
        const next = after(queries, ...done);
        const { mixed, sums } = part((key) => matmul(next, key, { transposeB: true, scale }), next);
        done = [mixed, sums];
        return { mixed, sums };
      };
      for (const part of partsOf(rows[i]!)) {
        if (typeof part !== "number") continue;
        parts.push(mix((product, queries) => mixTile(product(keys(part)), hidingOf(queries, part), values(part))));
      }
      let joined = parts.length === 0 ? nothingOf(queries, value) : (joinParts(parts) as Required<Mixed>);
      for (const part of partsOf(rows[i]!)) {
        if (typeof part === "number") continue;
        const before = joined;
        joined = mix((product) => {
          const tile = (before: Required<Mixed>, { key, value }: { key: Tensor; value: Tensor }) =>
            [joinParts([before, mixTile(product(key), undefined, value)]) as Required<Mixed>, []] as const;
          return scan(tile, before, { key: keyRuns(part.run), value: valueRuns(part.run) }, { unroll: false })[0];
        });
      }
      const { mixed, sums } = joined;
      const seeing = mayBeBlind(rows[i]!) ? mul(mixed, cast(greater(sums, hidden / 2), "float32")) : mixed;
      results[i] = { mixed: unfold(seeing, heads), sums: unfold(sums, heads) };
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
    const keys = keysIn(key!, plan, !looped);
    const [longKeys, longValues] = [key!, value!].map((x) => {
      if (!looped) return keysIn(withOnes(x), plan, true);
      const short = keysIn(x, plan, false);
      return (tile: number) => withOnes(short(tile));
    });
    const [keyRuns, valueRuns] = [runsOf(key!, cuts), runsOf(value!, cuts)];
    const [dKey, dValue] = [new PieceSums(cuts, key!), new PieceSums(cuts, value!)];
    const dQueries: Tensor[] = [];
    let done: readonly Tensor[] = [];
    for (let i = rows.length - 1; i >= 0; i--) {
      const [queries, dOut, ownLowering, ownOffset] = [q!, dMixed, lowering, offset].map((x) => inRow(x, rows[i]!)) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      const longQueries = concat([after(queries, ...done), ownLowering], -1);
      const longOut = concat([after(dOut, ...done), ownOffset], -1);
      let dQuery: Tensor | undefined;
      for (const part of partsOf(rows[i]!).toReversed()) {
        const next = after(longQueries, ...done);
        const gradients = (key: Tensor, longKey: Tensor, longValue: Tensor, hiding?: Tensor) => {
          const logits = matmul(longKey, next, { transposeB: true, scale });
          const weights = exp(hiding === undefined ? logits : add(logits, transpose(hiding, [0, 1, 3, 2])));
          const dLogits = mul(weights, matmul(longValue, longOut, { transposeB: true }));
          return {
            dQuery: matmul(dLogits, key, { transposeA: true, scale }),
            dKey: matmul(dLogits, queries, { scale }),
            dValue: matmul(weights, dOut),
          };
        };
        if (typeof part === "number") {
          const own = gradients(keys(part), longKeys!(part), longValues!(part), hidingOf(next, part));
          dQuery = dQuery === undefined ? own.dQuery : add(dQuery, own.dQuery);
          done = [dQuery, ...dKey.add(part, own.dKey), ...dValue.add(part, own.dValue)];
          continue;
        }
        const [total, sums] = scan(
          (dQuery: Tensor, [key, value, ...before]: Tensor[]) => {
            const own = gradients(key!, withOnes(key!), withOnes(value!));
            const added = [own.dKey, own.dValue].map((x, i) => (before[i] === undefined ? x : add(before[i], x)));
            return [add(dQuery, own.dQuery), added] as const;
          },
          dQuery ?? mul(queries, 0),
          [keyRuns(part.run), valueRuns(part.run), ...[dKey, dValue].flatMap((sums) => sums.ofRun(part.run) ?? [])],
          { unroll: false },
        );
        dQuery = total;
        dKey.setRun(part.run, sums[0]!);
        dValue.setRun(part.run, sums[1]!);
        done = [dQuery, ...sums];
      }
      dQueries[i] = unfold(dQuery!, heads);
    }
    return [concatenated(dQueries), dKey.whole(), dValue.whole()];
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

/** Tiles in a run: as many in each, so that all of them can use the same memory. */
const runLength = 8;

/** `runLength` tiles of which nothing is hidden: pieces `run · runLength` and those that follow. */
type Run = { readonly run: number };

/** The tiles of a row, those alike in runs. */
function withRuns({ blocks }: Plan, { sizes, of }: Cuts, tiles: readonly number[]): (number | Run)[] {
  const pieces = tiles.map((tile) => {
    const [piece, more] = of(tile);
    return more === undefined && blocks[tile]!.partial === undefined && sizes[piece!] === sizes[0] ? piece : undefined;
  });
  const isRun = (at: number) =>
    pieces[at]! % runLength === 0 &&
    Array.from({ length: runLength }, (_, i) => pieces[at + i] === pieces[at]! + i).every((next) => next);
  const parts: (number | Run)[] = [];
  for (let at = 0; at < tiles.length; ) {
    const run = isRun(at);
    parts.push(run ? { run: pieces[at]! / runLength } : tiles[at]!);
    at += run ? runLength : 1;
  }
  return parts;
}

/** x [B, K, S, D] → the keys of a tile; `kept`: cut once for all tiles that have the same. */
function keysIn(x: Tensor, { blocks }: Plan, kept: boolean): (tile: number) => Tensor {
  const known = new Map<string, Tensor>();
  return (tile) => {
    const { keys } = blocks[tile]!;
    const cut = () =>
      concatenated(Array.from({ length: keys.length / 2 }, (_, i) => slice(x, 2, keys[2 * i]!, keys[2 * i + 1]!)));
    const own = known.get(keys.join()) ?? cut();
    if (kept) known.set(keys.join(), own);
    return own;
  };
}

/** x [B, K, S, D] → the tiles of a run, [runLength, B, K, width, D]. */
function runsOf(x: Tensor, { sizes }: Cuts): (run: number) => Tensor {
  const [batch, heads, , features] = x.shape as [number, number, number, number];
  const all = runLength * sizes[0]!;
  return (run) => {
    const own = slice(x, 2, run * all, (run + 1) * all);
    return transpose(reshape(own, [batch, heads, runLength, sizes[0]!, features]), [2, 0, 1, 3, 4]);
  };
}

/** The log-normaliser is the largest logit less the logarithm of its weight. */
function mixTile(product: Tensor, hiding: Tensor | undefined, values: Tensor): Required<Mixed> {
  const logits = hiding === undefined ? product : add(product, hiding);
  const weights = softmax(logits);
  const largest = (x: Tensor) => max(x, { axes: -1, keepDims: true });
  return { mixed: matmul(weights, values), sums: sub(largest(logits), log(largest(weights))) };
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
  /** Sums of runs, [runLength, B, K, width, D] each. */
  readonly #runs: Tensor[] = [];

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

  /** What the tiles of a run have so far, [runLength, B, K, width, D]. */
  ofRun(run: number): Tensor | undefined {
    return this.#runs[run];
  }

  setRun(run: number, sum: Tensor): void {
    this.#runs[run] = sum;
  }

  /** Keys that no tile has get 0. */
  whole(): Tensor {
    this.#runs.forEach((sums, run) => {
      split(sums, runLength, 0).forEach((sum, i) => {
        const piece = run * runLength + i;
        this.#addPiece(piece, reshape(sum, this.#shapeOf(piece)));
      });
    });
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
