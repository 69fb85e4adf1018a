import type { Tensor } from "onnxruntime-web";
import type { TypedArray } from "../array/dtype.ts";
import { NDArray } from "../array/nd-array.ts";
import { sizeOfShape } from "../array/shape.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";

/** The API of ONNX Runtime that is the same in Node and in the browser, since both packages re-export it from one source. */
export type Ort = Pick<typeof import("onnxruntime-web"), "InferenceSession" | "Tensor">;

/** The version of both packages that the engine supports: `peerDependencies` of package.json. */
export const ortVersion = "1.30.0";

/**
 * Entries of the configuration of every session.
 *
 * On a processor, products are not merged with the bias behind them: `Gemm` fills its result with the bias in one thread before it begins, and stands
 * between reshapes where there are more than two axes. Threads that wait for work look for it for a millisecond, which bridges what lies between two nodes,
 * and then sleep: by default they would take the processor from JavaScript's thread between two runs.
 */
export function configurationOf(provider: string): Readonly<Record<string, unknown>> {
  // Merging equal nodes would undo recomputation.
  const merging = "CommonSubexpressionElimination";
  const isProcessor = provider === "cpu" || provider === "wasm";
  if (!isProcessor) return { optimization: { disable_specified_optimizers: merging } };
  return {
    optimization: { disable_specified_optimizers: `${merging};MatMulAddFusion` },
    session: { intra_op: { spin_duration_us: "1000" } },
  };
}

/** @throws RangeError when `threads` is not a positive integer */
export function requireThreads(threads: number): void {
  if (Number.isInteger(threads) && threads > 0) return;
  throw new RangeError(`threads: expected a positive integer, got ${threads}`);
}

/** ONNX Runtime's view of an array; they share memory. */
export function toOrt({ Tensor }: Ort, { shape, dtype, data }: NDArray): Tensor {
  return new Tensor(dtype as "float32", data as Float32Array, shape as number[]);
}

/** The array of a tensor in JavaScript's memory; they share memory. */
export function fromOrt({ data }: Tensor, { shape, dtype }: ArrayType): NDArray {
  // Where JavaScript has Float16Array, ONNX Runtime returns one; the engine's arrays hold the bits.
  const elements = data as unknown as TypedArray;
  if (dtype !== "float16") return new NDArray(shape, dtype, elements);
  return new NDArray(shape, dtype, new Uint16Array(elements.buffer, elements.byteOffset, sizeOfShape(shape)));
}

/** Names and types of the inputs and outputs of a model made by `toOnnx`, whose shapes are all static. */
export function signatureOf({ graph }: OnnxModel): {
  readonly inputs: readonly string[];
  readonly outputs: readonly NamedType[];
} {
  return {
    inputs: graph.inputs.map(({ name }) => name),
    outputs: graph.outputs.map(({ name, shape, dtype }) => ({ name, shape, dtype }) as NamedType),
  };
}

export type NamedType = ArrayType & { readonly name: string };
