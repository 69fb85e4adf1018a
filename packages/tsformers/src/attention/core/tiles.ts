import { customGradient, greater, mul, neg, sub, sum, type Tensor, where, zerosLike } from "@tsformers/engine";
import type { View } from "../../kinds/index.ts";
import { groupBy } from "../../schema/group-by.ts";
import { present } from "../../schema/present.ts";
import { joinParts } from "./join-parts.ts";
import { patchesOf } from "./patches.ts";
import type { Plan } from "./plan.ts";
import { hidden, inPlanOrder, type Mixed } from "./query-block.ts";
import { gradientsOfPatches, mixPatches } from "./rounds.ts";
import { type Cotangents, gradientsOfTiles, mixTiles, type QueriesAndKeys, type TilesOptions } from "./tile-by-tile.ts";

type TilesInput = QueriesAndKeys &
  TilesOptions & {
    /** The most tiles of a row that are written out; where there are more, patches of them are looped over. Default: 16. */
    readonly writtenOut?: number;
    /** Queries, and keys, of a patch. Default: 2,048. */
    readonly patch?: number;
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
export function attendTiles(plan: Plan, input: TilesInput): Required<Mixed> {
  const { q, key, view, writtenOut = 16, patch = 2048 } = input;
  const allWrittenOut = (plan: Plan) =>
    withGradients(input, {
      mix: (given, options) => mixTiles(plan, given, options),
      gradients: (given, options) => gradientsOfTiles(plan, given, options),
    });
  if (view.visible !== undefined || mostInRow(plan) <= writtenOut) return allWrittenOut(plan);
  const { rounds, rest } = patchesOf(plan, { queries: q.shape[2]!, keys: key.shape[2]!, patch });
  if (rounds.length === 0) return allWrittenOut(plan);
  // A patch has no order of its own: the mask is brought into that of the plan here.
  const keyMask = view.keyMask && inPlanOrder(view.keyMask, plan);
  const looped = withGradients(
    { ...input, view: { ...view, ...present({ keyMask }) } },
    {
      mix: (given, options) => mixPatches(rounds, given, { patch, ...options }),
      gradients: (given, options) => gradientsOfPatches(rounds, given, { patch, ...options }),
    },
  );
  return rest.blocks.length === 0 ? looped : (joinParts([looped, allWrittenOut(rest)]) as Required<Mixed>);
}

/** The most tiles that some queries have. */
function mostInRow({ blocks }: Plan): number {
  const rows = groupBy(blocks, ({ queries }) => queries[0]);
  return Math.max(...[...rows.values()].map(({ length }) => length));
}

function masksOf({ keyMask, visible }: View): Tensor[] {
  return [keyMask, visible].filter((mask) => mask !== undefined);
}

type Rule = {
  readonly mix: (given: QueriesAndKeys, options: TilesOptions) => Required<Mixed>;
  readonly gradients: (given: QueriesAndKeys & Cotangents, options: TilesOptions) => readonly Tensor[];
};

function withGradients({ q, key, value, view, scale }: TilesInput, { mix, gradients }: Rule): Required<Mixed> {
  /** Masks are arguments: what a gradient rule reads must be. */
  const optionsOf = (masks: readonly Tensor[]): TilesOptions => {
    const [keyMask, visible] = view.keyMask === undefined ? [undefined, masks[0]] : masks;
    return { scale, view: { ...view, ...present({ keyMask, visible }) } };
  };
  const [mixed, sums] = customGradient({
    forward: (q, key, value, ...masks) => {
      const { mixed, sums } = mix({ q: q!, key: key!, value: value! }, optionsOf(masks));
      return [mixed, sums];
    },
    backward: ({ inputs: [q, key, value, ...masks], outputs: [mixed, sums], cotangents }) => {
      const [dMixed = zerosLike(mixed!), dSums] = cotangents;
      const taken = sum(mul(dMixed, mixed!), { axes: -1, keepDims: true });
      const given = {
        ...{ q: q!, key: key!, value: value!, dMixed },
        // Queries that see nothing have weights of 0, whatever they are taken for in the forward pass.
        lowering: where(greater(sums!, hidden / 2), mul(sums!, -1 / scale), hidden / scale),
        offset: dSums === undefined ? neg(taken) : sub(dSums, taken),
      };
      return gradients(given, optionsOf(masks));
    },
  })(q, key, value, ...masksOf(view));
  return { mixed: mixed!, sums: sums! };
}
