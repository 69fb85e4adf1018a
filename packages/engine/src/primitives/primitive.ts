import type { DType } from "../array/dtype.ts";
import type { Shape } from "../array/shape.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import type { Tensor } from "../trace/tensor.ts";

/** The type of an array: known while tracing, before there are data. */
export type ArrayType = { readonly shape: Shape; readonly dtype: DType };

/** An array of the reference evaluator: elements are float64 numbers in row-major order, whatever the dtype. */
export type ReferenceArray = ArrayType & { readonly data: Float64Array };

/** Input of a gradient rule. All tensors belong to the scope in which the gradient is being written. */
export type GradientContext<Params> = {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly params: Params;
  /** d loss / d output; `undefined` where the loss does not depend on that output. At least one is defined. */
  readonly cotangents: readonly (Tensor | undefined)[];
  /** Which inputs need a gradient; rules skip the work for the others. */
  readonly wanted: readonly boolean[];
};

/** Input of a lowering rule: types of inputs and outputs, and the ONNX names of the inputs. */
export type LoweringContext<Params> = {
  readonly graph: GraphBuilder;
  readonly names: readonly string[];
  readonly inputs: readonly ArrayType[];
  readonly outputs: readonly ArrayType[];
  /** Which outputs are read; the names of the others may be `""`. */
  readonly used: readonly boolean[];
  readonly params: Params;
};

/**
 * One operation, with all its rules side by side. The type makes a missing rule a compile error.
 *
 * Rules are methods so that a `Primitive<SomeParams>` is assignable to `Primitive`.
 */
export interface Primitive<Params = unknown> {
  readonly name: string;
  /** Types of the outputs. @throws RangeError or TypeError that names the function, the shapes and the axis */
  type(inputs: readonly ArrayType[], params: Params): ArrayType[];
  /** d loss / d input for each wanted input, as new equations. `undefined` means zero. */
  gradient(context: GradientContext<Params>): (Tensor | undefined)[];
  /** ONNX nodes for one equation; returns the names of the outputs. */
  lower(context: LoweringContext<Params>): string[];
  /** The definition, written slowly in float64: the oracle of every lowering and every gradient. */
  evaluate(inputs: readonly ReferenceArray[], params: Params, outputs: readonly ArrayType[]): Float64Array[];
}

/** The gradient rule of operations that are piecewise constant or have integer inputs. */
export function noGradient({ inputs }: GradientContext<unknown>): undefined[] {
  return inputs.map(() => undefined);
}
