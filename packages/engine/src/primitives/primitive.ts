import type { DType } from "../array/dtype.ts";
import type { Shape } from "../array/shape.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import type { Tensor } from "../trace/tensor.ts";

/** What is known of an array before it has data. */
export type ArrayType = { readonly shape: Shape; readonly dtype: DType };

/** An array of the reference evaluator: whatever its dtype, the elements are float64 numbers in row-major order. */
export type ReferenceArray = ArrayType & { readonly data: Float64Array };

/** What a gradient rule sees of its equation. All tensors belong to the scope in which the gradient is being written. */
export type GradientContext<Params> = {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly params: Params;
  /** d loss / d output; `undefined` where the loss does not depend on that output. At least one is defined. */
  readonly cotangents: readonly (Tensor | undefined)[];
  /** Which inputs need a gradient; rules skip the work for the others. */
  readonly wanted: readonly boolean[];
};

/** What a lowering rule sees of its equation: types of both sides and the ONNX names of the inputs. */
export type LoweringContext<Params> = {
  readonly graph: GraphBuilder;
  readonly names: readonly string[];
  readonly inputs: readonly ArrayType[];
  readonly outputs: readonly ArrayType[];
  /** Which outputs anything reads; the names of the others may be `""`. */
  readonly used: readonly boolean[];
  readonly params: Params;
};

/**
 * One operation, with all of its meanings side by side. The type makes a missing rule a compile error.
 *
 * Rules are methods so that a `Primitive<SomeParams>` can stand where a `Primitive` is asked for.
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

/** The gradient rule of operations whose outputs do not vary smoothly with any input. */
export function noGradient({ inputs }: GradientContext<unknown>): undefined[] {
  return inputs.map(() => undefined);
}
