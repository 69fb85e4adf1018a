/** Element types of arrays. `float64` is for reference evaluation; `float16` is stored as raw bits in a `Uint16Array`. */
export type DType = "float32" | "float16" | "float64" | "int32" | "int64" | "uint8" | "bool";

/** The typed array that holds elements of each {@link DType}. */
export type TypedArrayOf = {
  float32: Float32Array;
  float16: Uint16Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  bool: Uint8Array;
};

export type TypedArray = TypedArrayOf[DType];

const bytesPerElement: Record<DType, number> = {
  float32: 4,
  float16: 2,
  float64: 8,
  int32: 4,
  int64: 8,
  uint8: 1,
  bool: 1,
};

/** Bytes of one element. */
export function sizeOf(dtype: DType): number {
  return bytesPerElement[dtype];
}

export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float16" || dtype === "float64";
}

const constructors: { [K in DType]: { new (length: number): TypedArrayOf[K]; readonly name: string } } = {
  float32: Float32Array,
  float16: Uint16Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** Whether a value is the name of a {@link DType}. */
export function isDType(value: unknown): value is DType {
  return typeof value === "string" && Object.hasOwn(constructors, value);
}

/** The name of the typed array that holds elements of `dtype`, the same in every realm. */
export function typedArrayName(dtype: DType): string {
  return constructors[dtype].name;
}

/**
 * A zero-filled typed array of `length` elements of `dtype`.
 *
 * @throws TypeError when `dtype` is not the name of one
 */
export function allocate<K extends DType>(dtype: K, length: number): TypedArrayOf[K] {
  if (!isDType(dtype)) {
    throw new TypeError(
      `expected one of ${Object.keys(constructors).join(", ")} as dtype, got ${JSON.stringify(dtype)}`,
    );
  }
  return new constructors[dtype](length);
}
