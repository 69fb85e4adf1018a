import { add, type Concrete, matmul, splitKey, type Tensor } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { type Initial, normalInitial, zerosInitial } from "./initial.ts";

export type LinearParams = { weight: Tensor; bias?: Tensor };

/**
 * `y = x·W + b`.
 *
 * @shape  x [..., inWidth] → [..., outWidth]; weight [inWidth, outWidth], bias [outWidth]
 * @differs from torch.nn.Linear, which stores the transpose
 */
export function linear(
  inWidth: number,
  outWidth: number,
  options: { readonly bias?: boolean; readonly initial?: Initial; readonly biasInitial?: Initial } = {},
): Layer<LinearParams> {
  const { bias = true, initial = normalInitial(), biasInitial = zerosInitial } = options;
  return {
    init: (key): Concrete<LinearParams> => {
      const [weightKey, biasKey] = splitKey(key, 2);
      const weight = initial(weightKey!, [inWidth, outWidth]);
      return bias ? { weight, bias: biasInitial(biasKey!, [outWidth]) } : { weight };
    },
    apply: ({ weight, bias }, x) => {
      const product = matmul(x, weight);
      return bias === undefined ? product : add(product, bias);
    },
  };
}
