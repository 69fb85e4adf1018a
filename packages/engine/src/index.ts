export * from "./array/dtype.ts";
export * from "./array/float16.ts";
export * from "./array/nd-array.ts";
export * from "./array/random.ts";
export * from "./array/random-key.ts";
export * from "./array/safetensors.ts";
export * from "./array/shape.ts";
export * from "./grad/grad.ts";
export * from "./onnx/decode.ts";
export * from "./onnx/encode.ts";
export * from "./onnx/lower.ts";
export * from "./onnx/model.ts";
export * from "./primitives/arithmetic.ts";
export {
  type CustomGradientContext,
  customGradient,
  type RecomputedPart,
  recompute,
  recomputeEach,
  type WriteNodes,
  withOperator,
} from "./primitives/call.ts";
export * from "./primitives/cast.ts";
export * from "./primitives/comparison.ts";
export * from "./primitives/concat.ts";
export * from "./primitives/cond.ts";
export * from "./primitives/conv1d.ts";
export * from "./primitives/cumulative.ts";
export * from "./primitives/einsum.ts";
export * from "./primitives/exponential.ts";
export * from "./primitives/gather.ts";
export * from "./primitives/gelu.ts";
export * from "./primitives/identity.ts";
export * from "./primitives/iota.ts";
export * from "./primitives/matmul.ts";
export * from "./primitives/norm.ts";
export * from "./primitives/order.ts";
export * from "./primitives/random.ts";
export * from "./primitives/random-bits.ts";
export * from "./primitives/reduce.ts";
export * from "./primitives/reversible.ts";
export * from "./primitives/scan.ts";
export * from "./primitives/shape.ts";
export * from "./primitives/slice.ts";
export * from "./primitives/softmax.ts";
export * from "./primitives/where.ts";
export * from "./runtime/compile.ts";
export * from "./runtime/device.ts";
export * from "./trace/interpret.ts";
export * from "./trace/program.ts";
export { constant, Tensor, type TensorLike } from "./trace/tensor.ts";
export * from "./tree/tree.ts";
