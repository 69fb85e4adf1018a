import {
  add,
  cast,
  div,
  equal,
  foldKey,
  iota,
  isTensor,
  mapTree,
  mul,
  reshape,
  scan,
  stopGradient,
  sum,
  type Tensor,
  valueAndGradWithExtra,
  where,
  zeros,
} from "@tsformers/engine";
import type { Context, Losses } from "../kinds/index.ts";
import type { LossFunction, Memories, Symbolic } from "../objectives/objective.ts";
import { present } from "../schema/present.ts";

/** A loss and its gradients, which still lack a common factor. */
export type Gradients<Params> = {
  /** The weighted mean over the whole batch plus the model's own losses, scalar. */
  readonly loss: Tensor;
  /** The model's own losses, by name. */
  readonly losses: Losses;
  readonly gradients: Params;
  /** Factor that the gradients must be multiplied by. Absent: 1. */
  readonly factor?: Tensor;
  /** The next training state. */
  readonly trainingState?: unknown;
  /** The next memories of the rows. */
  readonly memories?: Memories;
};

export type GradientOptions = {
  /** Multiplies the loss before differentiation; the returned factor divides by it. */
  readonly scale?: Tensor | undefined;
  /** Training state of the mixers; each part of the batch passes it on to the next, without gradient. */
  readonly trainingState?: unknown;
  /** Memories of the rows, without gradient. */
  readonly memories?: Memories | undefined;
};

/**
 * The loss of a batch and its gradients, computed in `microBatches` parts one after the other, so that only the activations
 * of one part are in memory. Both equal those of the whole batch, `Σ total / Σ weight`, except for dropout and rounding.
 *
 * @throws RangeError when the leading axis of the batch does not divide into the parts
 */
export function lossAndGradients<Params, B>(
  loss: LossFunction<Params, B>,
  microBatches: number,
  params: Params,
  batch: Symbolic<B>,
  context: Context,
  { scale, trainingState, memories }: GradientOptions = {},
): Gradients<Params> {
  const whole = (trained: Params, state: unknown) =>
    (trainingState === undefined ? trained : { ...trained, trainingState: state }) as Params;
  const scaled = (x: Tensor) => (scale === undefined ? x : mul(x, scale));
  const kept = (next: Next) => present({ trainingState: trainingState && next.trainingState, memories: next.memories });
  if (microBatches === 1) {
    const { gradient, extra } = valueAndGradWithExtra((inner: Params) => {
      const { total, weight, losses = {}, ...next } = loss(whole(inner, trainingState), batch, context, memories);
      const mean = add(div(total, stopGradient(atLeastSomething(weight))), cast(sumOf(losses), total.dtype));
      return [scaled(mean), { mean, losses, next: { trainingState, ...next } }] as const;
    })(params);
    return {
      loss: extra.mean,
      losses: extra.losses,
      gradients: gradient,
      ...(scale !== undefined && { factor: div(1, scale) }),
      ...kept(extra.next),
    };
  }
  // The sum over parts is divided by their total weight: a loss that counts once is multiplied by the weight of its part.
  const part = (slice: Symbolic<B>, key: Tensor | undefined, state: unknown, memories: Memories | undefined) =>
    valueAndGradWithExtra((inner: Params) => {
      const out = loss(whole(inner, state), slice, { ...context, ...present({ key }) }, memories);
      const { total, weight, losses = {}, ...next } = out;
      const weighted = mapLosses(losses, (x) => mul(cast(x, total.dtype), stopGradient(weight)));
      const all = add(total, sumOf(weighted));
      return [scaled(all), { total: all, weight, losses: weighted, next: { trainingState: state, ...next } }] as const;
    })(params);
  const initial = {
    total: zeros([]),
    weight: zeros([]),
    gradients: mapTree(params, isTensor, ({ shape, dtype }) => zeros(shape, dtype)) as Params,
    trainingState: trainingState ?? [],
  };
  const parts = {
    batch: splitRows(batch, microBatches),
    memories: memories === undefined ? [] : splitRows(memories, microBatches),
    index: iota(microBatches),
  };
  const [sums, after] = scan(
    (carry: typeof initial, { batch, index, memories: own }: typeof parts) => {
      const key = context.key === undefined ? undefined : foldKey(context.key, index);
      const state = trainingState === undefined ? undefined : carry.trainingState;
      const { gradient, extra } = part(batch, key, state, memories === undefined ? undefined : (own as Memories));
      const next = {
        total: add(carry.total, extra.total),
        weight: add(carry.weight, extra.weight),
        gradients: addTrees(carry.gradients, gradient),
        trainingState: extra.next.trainingState ?? [],
      };
      return [next, { losses: extra.losses, memories: extra.next.memories ?? [] }] as const;
    },
    initial,
    parts,
    { length: microBatches, unroll: false },
  );
  const weight = atLeastSomething(sums.weight);
  return {
    loss: div(sums.total, weight),
    losses: mapLosses(after.losses, (x) => div(sum(x), weight)),
    gradients: sums.gradients,
    factor: div(1, scaled(weight)),
    ...kept({
      trainingState: sums.trainingState,
      ...(memories !== undefined && { memories: joinRows(after.memories) as Memories }),
    }),
  };
}
/** Tokens of one part on a CPU: few enough that the widest activations fit into the caches, enough that products run at full speed. */
const tokensPerPart = 1024;

/** Number of parts for a batch on a CPU: the fewest of at most 1,024 tokens, or of one row each, to save passes over memory. */
export function suitableMicroBatches(batchSize: number, length: number): number {
  for (let parts = 1; parts < batchSize; parts++) {
    if (batchSize % parts === 0 && (batchSize / parts) * length <= tokensPerPart) return parts;
  }
  return batchSize;
}

/** Avoids 0 / 0: a batch without scored tokens has loss 0. */
function atLeastSomething(weight: Tensor): Tensor {
  return where(equal(weight, 0), 1, weight);
}

type Next = { readonly trainingState?: unknown; readonly memories?: Memories };

function mapLosses(losses: Losses, fn: (loss: Tensor) => Tensor): Losses {
  return Object.fromEntries(Object.entries(losses).map(([name, loss]) => [name, fn(loss)]));
}

function sumOf(losses: Losses): Tensor | 0 {
  const all = Object.values(losses);
  return all.length === 0 ? 0 : all.reduce((a, b) => add(a, b));
}

/** [parts, B / parts, ...] → [B, ...] */
function joinRows<Tree>(tree: Tree): Tree {
  return mapTree(tree, isTensor, (x) => {
    const [parts, rows, ...rest] = x.shape as [number, number, ...number[]];
    return reshape(x, [parts * rows, ...rest]);
  }) as Tree;
}

/** [B, ...] → [parts, B / parts, ...] */
function splitRows<Tree>(batch: Tree, parts: number): Tree {
  return mapTree(batch, isTensor, (x, path) => {
    const [rows, ...rest] = x.shape;
    if (rows === undefined || rows % parts !== 0) {
      throw new RangeError(`microBatches: the leading axis of ${path} ${x} does not divide into ${parts} parts`);
    }
    return reshape(x, [parts, rows / parts, ...rest]);
  }) as Tree;
}

function addTrees<Tree>(a: Tree, b: Tree): Tree {
  const others: Tensor[] = [];
  mapTree(b, isTensor, (leaf) => others.push(leaf));
  let next = 0;
  return mapTree(a, isTensor, (leaf) => add(leaf, others[next++]!)) as Tree;
}
