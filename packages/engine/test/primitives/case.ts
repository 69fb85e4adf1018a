import type { DType } from "../../src/array/dtype.ts";
import { convert, fromNumbers, type NDArray } from "../../src/array/nd-array.ts";
import { integers, normal, permutation, uniform } from "../../src/array/random.ts";
import { randomKey } from "../../src/array/random-key.ts";
import { sizeOfShape } from "../../src/array/shape.ts";
import type { Tensor } from "../../src/trace/tensor.ts";

/** One use of a primitive, which every device must agree on with the reference evaluator. */
export type Case = {
  readonly name: string;
  readonly inputs: () => readonly NDArray[];
  readonly apply: (...inputs: Tensor[]) => Tensor | readonly Tensor[];
  /** Why gradients are not compared with central differences. */
  readonly noGradient?: string;
  /** Largest error of a device, relative to 1 + |expected|; 1e-5 unless told. */
  readonly tolerance?: number;
};

/** A case from its parts; the inputs are made anew each time. */
export function example(
  name: string,
  inputs: readonly (() => NDArray)[],
  apply: (...inputs: [Tensor, Tensor, Tensor, Tensor, Tensor]) => Tensor | readonly Tensor[],
  options: Pick<Case, "noGradient" | "tolerance"> = {},
): Case {
  return { name, inputs: () => inputs.map((make) => make()), apply: apply as Case["apply"], ...options };
}

/** Normally distributed numbers. The seed is part of the case, so that inputs of one case differ. */
export function normals(seed: number, ...shape: number[]): () => NDArray {
  return () => normal(randomKey(seed), shape);
}

/** Numbers from 0.5 to 2. */
export function positives(seed: number, ...shape: number[]): () => NDArray {
  return () => uniform(randomKey(seed), shape, { low: 0.5, high: 2 });
}

/** Integers from `low` to `high − 1`. */
export function ints(seed: number, low: number, high: number, ...shape: number[]): () => NDArray {
  return () => integers(randomKey(seed), shape, { low, high });
}

export function bools(seed: number, ...shape: number[]): () => NDArray {
  return () => convert(integers(randomKey(seed), shape, { high: 2 }), "bool");
}

/** The same numbers in another dtype. */
export function as(dtype: DType, make: () => NDArray): () => NDArray {
  return () => convert(make(), dtype);
}

/** All different, at distances well above the step of central differences, in random order. */
export function distinct(seed: number, ...shape: number[]): () => NDArray {
  return () => {
    const order = permutation(randomKey(seed), sizeOfShape(shape)).toNumbers();
    return fromNumbers(
      order.map((rank) => rank / 8 - 1),
      shape,
    );
  };
}
