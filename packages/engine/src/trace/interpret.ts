import { allocate, type DType, isFloat } from "../array/dtype.ts";
import { fromNumbers, NDArray } from "../array/nd-array.ts";
import { shapesEqual, shapeText } from "../array/shape.ts";
import type { ReferenceArray } from "../primitives/primitive.ts";
import type { Program } from "./program.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Runs a program on the reference evaluators, slowly, in float64. The oracle of every lowering and every gradient.
 *
 * @returns one array per output; floats of any width are returned as float64
 */
export function interpret(program: Program, inputs: readonly NDArray[]): NDArray[] {
  return interpretReference(program, inputs.map(toReference)).map(fromReference);
}

/** {@link interpret} on reference arrays, for the evaluators of primitives that contain programs. */
export function interpretReference(program: Program, inputs: readonly ReferenceArray[]): ReferenceArray[] {
  const values = new Map<Tensor, ReferenceArray>();
  program.inputs.forEach((tensor, i) => {
    const input = inputs[i];
    if (input === undefined || !shapesEqual(tensor.shape, input.shape)) {
      throw new RangeError(
        `interpret: input ${i} must be ${tensor}, got ${input ? shapeText(input.shape) : "nothing"}`,
      );
    }
    values.set(tensor, input);
  });
  for (const { primitive, inputs: read, outputs, params } of program.equations) {
    const results = primitive.evaluate(
      read.map((tensor) => values.get(tensor)!),
      params,
      outputs,
    );
    outputs.forEach((tensor, i) => {
      values.set(tensor, { shape: tensor.shape, dtype: tensor.dtype, data: results[i]! });
    });
  }
  return program.outputs.map((tensor) => values.get(tensor)!);
}

export function toReference(array: NDArray): ReferenceArray {
  return { shape: array.shape, dtype: array.dtype, data: Float64Array.from(array.toNumbers()) };
}

export function fromReference({ shape, dtype, data }: ReferenceArray): NDArray {
  const stored: DType = isFloat(dtype) ? "float64" : dtype;
  if (stored === "float64") return new NDArray(shape, stored, data);
  return data.length === 0 ? new NDArray(shape, stored, allocate(stored, 0)) : fromNumbers(data, shape, stored);
}
