import type { OnnxDType } from "./model.ts";

/** The ONNX element types used here, with their numbers in `TensorProto.DataType`. */
const numbers: Record<OnnxDType, number> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
};

const dtypes: readonly (OnnxDType | undefined)[] = Object.entries(numbers).reduce<(OnnxDType | undefined)[]>(
  (table, [dtype, number]) => {
    table[number] = dtype as OnnxDType;
    return table;
  },
  [],
);

/** The number of a dtype in `TensorProto.DataType`, also the value of the attribute `to` of `Cast`. */
export function elementTypeNumber(dtype: OnnxDType): number {
  return numbers[dtype];
}

/** The dtype of a number in `TensorProto.DataType`; `undefined` for types that the engine does not use. */
export function dtypeOfElementType(number: number): OnnxDType | undefined {
  return dtypes[number];
}
