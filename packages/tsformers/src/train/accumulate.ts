import {
  add,
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
  type Tensor,
  valueAndGradWithExtra,
  where,
  zeros,
} from "@tsformers/engine";
import type { Context } from "../kinds/layer.ts";
import type { LossFunction, Symbolic } from "./trainee.ts";

/** A loss and its gradients, which still lack a factor that all of them share. */
export type Gradients<Params> = {
  /** The weighted mean over the whole batch, []. */
  readonly loss: Tensor;
  readonly gradients: Params;
  /** Multiplies the gradients; absent when it is 1. */
  readonly factor?: Tensor;
  /** What the parameters that are carried, not trained, become. */
  readonly carried?: unknown;
};

/**
 * The loss of a batch and its gradients, computed in `microBatches` parts one after the other, so that the activations
 * of one part only are in memory. Both are exactly those of the whole batch, `Σ total / Σ weight`, but for dropout and rounding.
 *
 * @param options.scale multiplies the loss before it is differentiated; the factor returned takes it back
 * @param options.carried what stands beside the parameters under `carried`: each part hands it on to the next, undifferentiated
 * @throws RangeError when the leading axis of the batch does not divide
 */
export function lossAndGradients<Params, B>(
  loss: LossFunction<Params, B>,
  microBatches: number,
  params: Params,
  batch: Symbolic<B>,
  context: Context,
  { scale, carried }: { readonly scale?: Tensor | undefined; readonly carried?: unknown } = {},
): Gradients<Params> {
  const whole = (trained: Params, carried: unknown) =>
    (carried === undefined ? trained : { ...trained, carried }) as Params;
  const scaled = (x: Tensor) => (scale === undefined ? x : mul(x, scale));
  if (microBatches === 1) {
    const { gradient, extra } = valueAndGradWithExtra((inner: Params) => {
      const { total, weight, carried: next } = loss(whole(inner, carried), batch, context);
      const mean = div(total, stopGradient(atLeastSomething(weight)));
      return [scaled(mean), { mean, next }] as const;
    })(params);
    const { mean, next } = extra;
    return {
      loss: mean,
      gradients: gradient,
      ...(scale === undefined ? {} : { factor: div(1, scale) }),
      ...(carried === undefined ? {} : { carried: next ?? carried }),
    };
  }
  const part = (slice: Symbolic<B>, key: Tensor | undefined, carried: unknown) =>
    valueAndGradWithExtra((inner: Params) => {
      const { total, weight, carried: next } = loss(whole(inner, carried), slice, key === undefined ? {} : { key });
      return [scaled(total), { total, weight, next: next ?? carried }] as const;
    })(params);
  const initial = {
    total: zeros([]),
    weight: zeros([]),
    gradients: mapTree(params, isTensor, ({ shape, dtype }) => zeros(shape, dtype)) as Params,
    carried: carried ?? [],
  };
  const parts = { batch: splitRows(batch, microBatches), index: iota(microBatches) };
  const [sums] = scan(
    (carry: typeof initial, { batch, index }: typeof parts) => {
      const key = context.key === undefined ? undefined : foldKey(context.key, index);
      const { gradient, extra } = part(batch, key, carried === undefined ? undefined : carry.carried);
      const next = {
        total: add(carry.total, extra.total),
        weight: add(carry.weight, extra.weight),
        gradients: addTrees(carry.gradients, gradient),
        carried: extra.next ?? [],
      };
      return [next, []] as const;
    },
    initial,
    parts,
    { length: microBatches, unroll: false },
  );
  const weight = atLeastSomething(sums.weight);
  return {
    loss: div(sums.total, weight),
    gradients: sums.gradients,
    factor: div(1, scaled(weight)),
    ...(carried === undefined ? {} : { carried: sums.carried }),
  };
}

/** Tokens of one part on a CPU: their widest activations still fit into the caches, and products are long enough to run at full speed. */
const tokensPerPart = 1024;

/** Parts into which to cut a batch on a CPU: the fewest that hold 1,024 tokens or one row each. Fewer passes go to memory that way. */
export function suitableMicroBatches(batchSize: number, length: number): number {
  for (let parts = 1; parts < batchSize; parts++) {
    if (batchSize % parts === 0 && (batchSize / parts) * length <= tokensPerPart) return parts;
  }
  return batchSize;
}

/** A batch in which nothing is scored has loss 0, not 0 / 0. */
function atLeastSomething(weight: Tensor): Tensor {
  return where(equal(weight, 0), 1, weight);
}

/** [B, ...] → [parts, B / parts, ...] */
function splitRows<B>(batch: Symbolic<B>, parts: number): Symbolic<B> {
  return mapTree(batch, isTensor, (x, path) => {
    const [rows, ...rest] = x.shape;
    if (rows === undefined || rows % parts !== 0) {
      throw new RangeError(`microBatches: the leading axis of ${path} ${x} does not divide into ${parts} parts`);
    }
    return reshape(x, [parts, rows / parts, ...rest]);
  }) as Symbolic<B>;
}

function addTrees<Tree>(a: Tree, b: Tree): Tree {
  const others: Tensor[] = [];
  mapTree(b, isTensor, (leaf) => others.push(leaf));
  let next = 0;
  return mapTree(a, isTensor, (leaf) => add(leaf, others[next++]!)) as Tree;
}
