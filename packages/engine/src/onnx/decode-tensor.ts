import { allocate, type DType, sizeOf, type TypedArray } from "../array/dtype.ts";
import { NDArray } from "../array/nd-array.ts";
import { shapeText, sizeOfShape } from "../array/shape.ts";
import { dtypeOfElementType } from "./element-type.ts";
import type { onnx } from "./generated/onnx.js";

/** A 64-bit integer as the protobuf library returns it. */
export type WireInteger = number | { readonly low: number; readonly high: number };

/**
 * The array of a foreign `TensorProto`, from `raw_data` or from the typed field of its element type. Memory is allocated
 * only after checking that the message has the length that the dims ask for.
 *
 * @param where names the tensor in messages
 * @throws Error saying what was expected and what was found
 */
export function decodeTensor(message: onnx.TensorProto.$Properties, where: string): NDArray {
  if (message.dataLocation || message.externalData?.length) {
    throw new Error(`${where}: its values are in an external file; expected a model saved with its data inside`);
  }
  if (message.segment) throw new Error(`${where}: expected a whole tensor, found a segment of one`);
  const dtype = tensorDType(message.dataType ?? 0, where);
  const shape = (message.dims ?? []).map((extent, axis) => {
    const n = exactInteger(extent, `${where}: extent of axis ${axis}`);
    if (n < 0) throw new Error(`${where}: expected a non-negative extent of axis ${axis}, found ${n}`);
    return n;
  });
  const size = sizeOfShape(shape);
  if (!Number.isSafeInteger(size * sizeOf(dtype))) throw new Error(`${where}: shape ${shapeText(shape)} is too large`);
  const raw = message.rawData?.length ? message.rawData : undefined;
  const typed = [message.floatData, message.int32Data, message.int64Data, message.doubleData, message.uint64Data];
  if (raw && typed.some((values) => values?.length))
    throw new Error(`${where}: expected one data field, found raw_data and another`);
  if (!raw) return new NDArray(shape, dtype, fromTypedField(message, dtype, shape, where));
  expectLength(raw.length, size * sizeOf(dtype), "bytes of raw_data", dtype, shape, where);
  const data = allocate(dtype, size);
  new Uint8Array(data.buffer).set(raw);
  if (dtype === "bool") for (let i = 0; i < size; i++) data[i] = data[i] ? 1 : 0;
  return new NDArray(shape, dtype, data);
}

/**
 * A JavaScript number for a 64-bit integer.
 * @throws Error when it is beyond ±2⁵³, where the number would not be exact
 */
export function exactInteger(value: WireInteger, where: string): number {
  const n = typeof value === "number" ? value : value.high * 2 ** 32 + (value.low >>> 0);
  if (!Number.isSafeInteger(n)) throw new Error(`${where}: expected an integer within ±2^53, found ${toBigInt(value)}`);
  return n;
}

function tensorDType(number: number, where: string): DType {
  const dtype = dtypeOfElementType(number);
  if (dtype === undefined || dtype === "string" || dtype === "uint32") {
    throw new Error(
      `${where}: expected an element type of the engine (float32, float16, float64, int32, int64, uint8, bool), found ${dtype ?? `number ${number}`}`,
    );
  }
  return dtype;
}

function fromTypedField(
  message: onnx.TensorProto.$Properties,
  dtype: DType,
  shape: readonly number[],
  where: string,
): TypedArray {
  const size = sizeOfShape(shape);
  if (dtype === "int64") {
    const values = message.int64Data ?? [];
    expectLength(values.length, size, "values in int64_data", dtype, shape, where);
    return BigInt64Array.from(values, toBigInt);
  }
  const [field, values] =
    dtype === "float32"
      ? ["float_data", message.floatData ?? []]
      : dtype === "float64"
        ? ["double_data", message.doubleData ?? []]
        : ["int32_data", message.int32Data ?? []];
  expectLength(values.length, size, `values in ${field}`, dtype, shape, where);
  const largest = dtype === "float16" ? 0xffff : dtype === "uint8" ? 0xff : dtype === "bool" ? 1 : undefined;
  const data = allocate(dtype, size);
  for (let i = 0; i < size; i++) {
    const value = values[i]!;
    if (largest !== undefined && (value < 0 || value > largest)) {
      throw new Error(`${where}: expected ${dtype} values of 0 to ${largest} in ${field}, found ${value} at ${i}`);
    }
    data[i] = value;
  }
  return data;
}

function expectLength(
  found: number,
  expected: number,
  what: string,
  dtype: DType,
  shape: readonly number[],
  where: string,
): void {
  if (found === expected) return;
  throw new Error(`${where}: expected ${expected} ${what} for ${dtype} ${shapeText(shape)}, found ${found}`);
}

function toBigInt(value: WireInteger): bigint {
  return typeof value === "number" ? BigInt(value) : (BigInt(value.high) << 32n) | BigInt(value.low >>> 0);
}
