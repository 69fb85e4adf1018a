import {
  add,
  broadcastTo,
  cast,
  concat,
  constant,
  expandDims,
  fromNumbers,
  gather,
  matmul,
  mul,
  type NDArray,
  slice,
  split,
  type Tensor,
  takeAlongAxis,
  transpose,
  where,
} from "@tsformers/engine";
import type { Positions, Score } from "../../kinds/index.ts";
import { spread } from "../core/by-distance.ts";

/** Parameters of the labels. Label l adds to a logit of head h: `(q·vectors[l, h] + biases[l, h])·scale`. */
export type EtcLabels = {
  /** [labels, H, D] */
  readonly vectors: Tensor;
  /** [labels, H] */
  readonly biases: Tensor;
};

/** Label terms `added` [B, H, T, labels] → terms of pairs, for consecutive groups of keys, each broadcast to [B, H, T, keys]. */
export type Labelling = (added: Tensor, positions: Positions) => readonly LabelledKeys[];

export type LabelledKeys = { readonly keys: number; readonly added: Tensor };

/** Adds to each logit the term of its pair's label. */
export function labelScore({ vectors, biases }: EtcLabels, labelling: Labelling): (positions: Positions) => Score {
  return (positions) => ({
    logits: (logits, { query, scale }) => {
      // In the dtype of the logits: ONNX Runtime 1.30 crashes on float16 products of tensors transposed across heads.
      const [q, of, bias] = [query, vectors, biases].map((x) => cast(x, logits.dtype)) as [Tensor, Tensor, Tensor];
      const products = matmul(q, transpose(of, [1, 0, 2]), { transposeB: true });
      const added = mul(add(products, expandDims(transpose(bias, [1, 0]), 1)), scale);
      const parts = labelling(added, positions);
      if (parts.length === 1) return add(logits, parts[0]!.added);
      const own = split(
        logits,
        parts.map(({ keys }) => keys),
        -1,
      );
      return concat(
        parts.map(({ added }, i) => add(own[i]!, added)),
        -1,
      );
    },
  });
}

/** An explicit label for each pair: ids [T, S] int. */
export function byTable(ids: NDArray): Labelling {
  return (added, { query, key }) => {
    const own = gather(gather(constant(ids), query, 0), key, 1);
    const keys = own.shape[1]!;
    return [{ keys, added: takeAlongAxis(added, broadcastTo(own, [...added.shape.slice(0, -1), keys])) }];
  };
}

/**
 * Labels by distance: 0 for the same position, 1 … k to the right, k + 1 … 2k to the left, distances beyond k as k.
 *
 * @source Ainslie et al. 2020, "ETC", §2.3, arXiv:2004.08483; the order is that of the authors' code
 */
export function byDistance(furthest: number): (added: Tensor, positions: Positions) => Tensor {
  return (added, positions) => {
    // Ordered from the furthest left to the furthest right: 2k, …, k + 1, 0, 1, …, k.
    const leftToRight = Array.from({ length: 2 * furthest + 1 }, (_, i) =>
      i < furthest ? 2 * furthest - i : i - furthest,
    );
    const sorted = gather(added, constant(fromNumbers(leftToRight, [leftToRight.length], "int32")), -1);
    return spread(positions, {
      low: -furthest,
      high: furthest,
      values: (from, to) => slice(sorted, -1, from + furthest, to + furthest),
    });
  };
}

/**
 * One label for pairs where `isMember` holds, another for the rest.
 *
 * @shape isMember bool [1 or B, T, keys] → [B, H, T, keys]; undefined, where all are members, → [B, H, T, 1]
 */
export function byMembership([member, other]: readonly [member: number, other: number]): (
  added: Tensor,
  isMember: Tensor | undefined,
) => Tensor {
  return (added, isMember) => {
    const of = (label: number) => slice(added, -1, label, label + 1);
    return isMember === undefined ? of(member) : where(expandDims(isMember, 1), of(member), of(other));
  };
}
