import {
  constant,
  type DType,
  full,
  layerNorm as layerNormFunction,
  rmsNorm as rmsNormFunction,
  type Tensor,
} from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { ones, zeros } from "./initial.ts";

export type NormParams = { weight: Tensor; bias?: Tensor };

/** A normalisation: a layer that depends on the width of the vectors. */
export type Norm = (width: number) => Layer<NormParams>;

/** Layer normalisation with gain and bias. MPT has no bias. Default: ε = 1e-5. */
export function layerNorm(options: { readonly epsilon?: number; readonly bias?: boolean } = {}): Norm {
  const { epsilon = 1e-5, bias = true } = options;
  return (width) => ({
    init: (key) => ({ weight: ones(key, [width]), ...(bias ? { bias: zeros(key, [width]) } : {}) }),
    apply: ({ weight, bias }, x) => layerNormFunction(x, weight, bias ?? zeroBias(width, x.dtype), epsilon),
  });
}

/** Root-mean-square normalisation with a gain. Default: ε = 1e-6. */
export function rmsNorm(options: { readonly epsilon?: number } = {}): Norm {
  const { epsilon = 1e-6 } = options;
  return (width) => ({
    init: (key) => ({ weight: ones(key, [width]) }),
    apply: ({ weight }, x) => rmsNormFunction(x, weight, epsilon),
  });
}

function zeroBias(width: number, dtype: DType): Tensor {
  return constant(full([width], 0, dtype));
}
