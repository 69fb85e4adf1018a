import { allocate, type DType, isDType, isFloat, type TypedArray, typedArrayName } from "./dtype.ts";
import { fromHalf, toHalf } from "./float16.ts";
import { type Shape, shapeText, sizeOfShape } from "./shape.ts";

/**
 * Concrete data: a shape, a dtype and row-major elements. Used outside traced functions; inside them there are {@link Tensor}s.
 *
 * Immutable by convention: `data` of an array that was passed on must not be written to, except by the owner of a
 * donated buffer (see `compile`).
 *
 * `data` may also be a function that makes the elements; it is called once, when they are first read. This way the parameters of
 * a model of any size can be described and counted without memory for them.
 *
 * @throws RangeError when an extent is not a non-negative integer, or `data` does not hold exactly the number of
 *   elements that `shape` asks for
 * @throws TypeError when the arguments are not a shape, a dtype and a typed array in this order, or `data` is of another type than `dtype`
 */
export class NDArray {
  readonly shape: Shape;
  readonly dtype: DType;
  declare readonly data: TypedArray;

  constructor(shape: Shape, dtype: DType, data: TypedArray | (() => TypedArray)) {
    if (!Array.isArray(shape) || !isDType(dtype) || !(ArrayBuffer.isView(data) || typeof data === "function")) {
      throw new TypeError(
        `NDArray: expected a shape (a list of numbers), a dtype and a typed array, got ${[shape, dtype, data].map(kindOf).join(", ")}`,
      );
    }
    if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
      throw new RangeError(`NDArray: expected non-negative integers as shape, got ${shapeText(shape)}`);
    }
    this.shape = shape;
    this.dtype = dtype;
    if (typeof data !== "function") this.data = checkedData(this, data);
    else {
      const get = (): TypedArray => {
        const value = checkedData(this, data());
        Object.defineProperty(this, "data", { value, enumerable: true });
        return value;
      };
      Object.defineProperty(this, "data", { get, enumerable: true, configurable: true });
    }
  }

  get size(): number {
    return sizeOfShape(this.shape);
  }

  /**
   * The elements as JavaScript numbers, in row-major order (float16 decoded).
   * @throws RangeError when an int64 element is not exact as a JavaScript number
   */
  toNumbers(): number[] {
    if (this.data instanceof BigInt64Array) return Array.from(this.data, exactNumber);
    if (this.dtype === "float16") return Array.from(this.data as Uint16Array, fromHalf);
    return Array.from(this.data);
  }

  /** The only element of an array of size 1, as a number. */
  item(): number {
    if (this.size !== 1)
      throw new RangeError(`item: expected one element, the array has shape ${shapeText(this.shape)}`);
    return this.toNumbers()[0]!;
  }
}

function checkedData({ shape, dtype }: NDArray, data: TypedArray): TypedArray {
  if (data[Symbol.toStringTag] !== typedArrayName(dtype)) {
    throw new TypeError(`NDArray: expected a ${typedArrayName(dtype)} for ${dtype}, got ${data[Symbol.toStringTag]}`);
  }
  if (sizeOfShape(shape) !== data.length) {
    throw new RangeError(
      `NDArray: shape ${shapeText(shape)} holds ${sizeOfShape(shape)} elements, the data has ${data.length}`,
    );
  }
  return data;
}

/** A short description of an argument: `a Float32Array`, `"int32"`, `a list`. */
function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return `a ${Object.prototype.toString.call(value).slice(8, -1)}`;
  return JSON.stringify(value);
}

export function isNdArray(value: unknown): value is NDArray {
  return value instanceof NDArray;
}

type Nested = number | readonly Nested[];

/** An array from nested lists or a flat typed array: `ndarray([[1, 2], [3, 4]])`, `ndarray(new Float32Array(6), [2, 3])`. */
export function ndarray(values: Nested | TypedArray, shape?: Shape, dtype?: DType): NDArray {
  if (ArrayBuffer.isView(values)) {
    const data = values as TypedArray;
    return new NDArray(shape ?? [data.length], dtype ?? dtypeOf(data), data);
  }
  const flat: number[] = [];
  const found = collect(values as Nested, flat);
  return fromNumbers(flat, shape ?? found, dtype ?? "float32");
}

/** An array of `dtype` from numbers in row-major order; for bool, every number except 0 is true. */
export function fromNumbers(values: ArrayLike<number>, shape: Shape, dtype: DType = "float32"): NDArray {
  const data = allocate(dtype, values.length);
  if (data instanceof BigInt64Array) for (let i = 0; i < values.length; i++) data[i] = BigInt(values[i]!);
  else if (dtype === "bool") for (let i = 0; i < values.length; i++) data[i] = values[i] !== 0 ? 1 : 0;
  else if (dtype === "float16") for (let i = 0; i < values.length; i++) data[i] = toHalf(values[i]!);
  else for (let i = 0; i < values.length; i++) data[i] = values[i]!;
  return new NDArray(shape, dtype, data);
}

/** An array filled with one value; its elements are made when they are first read. */
export function full(shape: Shape, value: number, dtype: DType = "float32"): NDArray {
  const element = fromNumbers([value], [1], dtype).data[0]!;
  return new NDArray(shape, dtype, () => {
    const data = allocate(dtype, sizeOfShape(shape));
    if (data instanceof BigInt64Array) data.fill(element as bigint);
    else data.fill(element as number);
    return data;
  });
}

/**
 * Converts the elements to another dtype. Floats to integers truncate towards zero; integers that do not fit keep their low
 * bits; anything to bool is `≠ 0`; int64 to floats rounds.
 *
 * @throws RangeError when NaN or an infinity would become int64
 */
export function convert(array: NDArray, dtype: DType): NDArray {
  if (array.dtype === dtype) return array;
  const { data, shape } = array;
  if (data instanceof BigInt64Array) {
    const low = isFloat(dtype) || dtype === "bool" ? Number : (x: bigint) => Number(BigInt.asIntN(32, x));
    return fromNumbers(Array.from(data, low), shape, dtype);
  }
  const numbers = array.dtype === "float16" ? Float32Array.from(data, fromHalf) : data;
  if (dtype !== "int64") return fromNumbers(numbers, shape, dtype);
  const infinite = numbers.find((x) => !Number.isFinite(x));
  if (infinite !== undefined) throw new RangeError(`convert: expected finite numbers for int64, got ${infinite}`);
  return fromNumbers(Float64Array.from(numbers, Math.trunc), shape, dtype);
}

function exactNumber(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`toNumbers: int64 element ${value} has no exact number`);
  return number;
}

function collect(values: Nested, into: number[]): number[] {
  if (typeof values === "number") {
    into.push(values);
    return [];
  }
  let inner: number[] = [];
  values.forEach((value, i) => {
    const shape = collect(value, into);
    if (i > 0 && (shape.length !== inner.length || shape.some((n, axis) => n !== inner[axis]))) {
      throw new RangeError(`ndarray: ragged nested list, ${shapeText(inner)} beside ${shapeText(shape)}`);
    }
    inner = shape;
  });
  return [values.length, ...inner];
}

function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof BigInt64Array) return "int64";
  if (data instanceof Uint8Array) return "uint8";
  if (data instanceof Uint16Array) throw new TypeError("ndarray: a Uint16Array needs an explicit dtype (float16 bits)");
  throw new TypeError(`ndarray: no dtype holds its elements in a ${Object.prototype.toString.call(data).slice(8, -1)}`);
}
