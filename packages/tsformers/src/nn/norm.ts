import { add, constant, type DType, full, layerNormalization, rmsNormalization, type Tensor } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { onesInitial, zerosInitial } from "./initial.ts";

export type NormParams = { weight: Tensor; bias?: Tensor };

/** A normalisation: a layer that depends on the width of the vectors. */
export type Norm = (width: number) => Layer<NormParams>;

/** Layer normalisation with gain and bias. MPT has no bias. Default: ε = 1e-5. */
export function layerNorm(options: { readonly epsilon?: number; readonly bias?: boolean } = {}): Norm {
  const { epsilon = 1e-5, bias = true } = options;
  return (width) => ({
    init: (key) => ({ weight: onesInitial(key, [width]), ...(bias && { bias: zerosInitial(key, [width]) }) }),
    apply: ({ weight, bias }, x) => layerNormalization(x, weight, bias ?? zeroBias(width, x.dtype), epsilon),
  });
}

/** Root-mean-square normalisation with a gain. Default: ε = 1e-6. */
export function rmsNorm(options: { readonly epsilon?: number } = {}): Norm {
  const { epsilon = 1e-6 } = options;
  return (width) => ({
    init: (key) => ({ weight: onesInitial(key, [width]) }),
    apply: ({ weight }, x) => rmsNormalization(x, weight, epsilon),
  });
}

/** {@link rmsNorm} whose gain is 1 + w, with w from 0: weight decay then draws it to 1. Gemma's. Default: ε = 1e-6. */
export function zeroCentredRmsNorm(options: { readonly epsilon?: number } = {}): Norm {
  const { epsilon = 1e-6 } = options;
  return (width) => ({
    init: (key) => ({ weight: zerosInitial(key, [width]) }),
    apply: ({ weight }, x) => rmsNormalization(x, add(weight, 1), epsilon),
  });
}

function zeroBias(width: number, dtype: DType): Tensor {
  return constant(full([width], 0, dtype));
}
