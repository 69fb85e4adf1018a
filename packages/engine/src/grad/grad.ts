import { isFloat } from "../array/dtype.ts";
import { alias } from "../primitives/identity.ts";
import { zerosLike } from "../primitives/iota.ts";
import { isTensor } from "../trace/program.ts";
import { constant, currentScope, type Tensor } from "../trace/tensor.ts";
import { flatten, unflatten } from "../tree/tree.ts";
import { backward } from "./reverse.ts";

/**
 * A function that returns the value of `loss` and its gradient with respect to the first argument, a tree of tensors.
 *
 * The gradient is written as ordinary equations after those of the value, so it can be differentiated again.
 * Parameters that the loss does not depend on, and those that are not floats, get zeros.
 *
 * @throws RangeError when the loss is not a float scalar
 */
export function valueAndGrad<Parameters, Rest extends readonly unknown[]>(
  loss: (parameters: Parameters, ...rest: Rest) => Tensor,
): (parameters: Parameters, ...rest: Rest) => { value: Tensor; gradient: Parameters } {
  const withExtra = valueAndGradWithExtra<Parameters, Rest, undefined>((parameters, ...rest) => [
    loss(parameters, ...rest),
    undefined,
  ]);
  return (parameters, ...rest) => {
    const { value, gradient } = withExtra(parameters, ...rest);
    return { value, gradient };
  };
}

/** {@link valueAndGrad} of a function that returns `[loss, extra]`: the extra tree is returned with the gradient. */
export function valueAndGradWithExtra<Parameters, Rest extends readonly unknown[], Extra>(
  loss: (parameters: Parameters, ...rest: Rest) => readonly [Tensor, Extra],
): (parameters: Parameters, ...rest: Rest) => { value: Tensor; gradient: Parameters; extra: Extra } {
  return (parameters, ...rest) => {
    const { leaves, structure } = flatten(parameters, isTensor);
    const scope = currentScope();
    const targets = leaves.map((leaf) => alias(leaf));
    const start = scope.equations.length;
    const [value, extra] = loss(unflatten(structure, targets) as Parameters, ...rest);
    if (value.shape.length !== 0 || !isFloat(value.dtype)) {
      throw new RangeError(`grad: the loss must be a float scalar, got ${value}`);
    }
    const equations = scope.equations.slice(start);
    const gradients = backward(equations, [value], [constant(1, value.dtype)], targets);
    const filled = gradients.map((gradient, i) => gradient ?? zerosLike(targets[i]!));
    return { value, gradient: unflatten(structure, filled) as Parameters, extra };
  };
}

/** A function that returns the gradient of `loss` with respect to its first argument. See {@link valueAndGrad}. */
export function grad<Parameters, Rest extends readonly unknown[]>(
  loss: (parameters: Parameters, ...rest: Rest) => Tensor,
): (parameters: Parameters, ...rest: Rest) => Parameters {
  const both = valueAndGrad(loss);
  return (parameters, ...rest) => both(parameters, ...rest).gradient;
}
