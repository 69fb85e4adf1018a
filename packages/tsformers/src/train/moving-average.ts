import { add, cast, div, isFloat, isTensor, mapTree, minimum, mul, sub, type Tensor } from "@tsformers/engine";
import { requireFraction } from "./optimisers/optimiser.ts";

/**
 * An exponential moving average (EMA) of parameters: `a ← d·a + (1 − d)·w` with `d = min(decay, (1 + t) / (10 + t))`, so
 * that it adapts quickly at the beginning of training.
 *
 * @param step the number t of the update, from 1, int32 scalar
 * @source Polyak & Juditsky 1992; the warm-up is that of TensorFlow's ExponentialMovingAverage
 */
export function followAverage<Params>(average: Params, params: Params, decay: number, step: Tensor): Params {
  requireFraction("movingAverage", "decay", decay);
  const t = cast(step, "float32");
  const fresh = sub(1, minimum(div(add(t, 1), add(t, 10)), decay));
  const targets = new Map<string, Tensor>();
  mapTree(params, isTensor, (leaf, path) => targets.set(path, leaf));
  return mapTree(average, isTensor, (old, path) => {
    const target = targets.get(path)!;
    return isFloat(old.dtype) ? add(old, mul(sub(target, old), fresh)) : target;
  }) as Params;
}
