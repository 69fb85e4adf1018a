import type { TypedArray } from "../array/dtype.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import type { NodeDeviceName, NodeDeviceOptions } from "./node.ts";

/** How a worker is started. */
export type WorkerStart = { readonly name: NodeDeviceName; readonly options: NodeDeviceOptions };

/** An array as it crosses threads: classes do not survive the way. */
export type Plain = ArrayType & { readonly data: TypedArray };

/**
 * What a worker is asked to do. Arrays and executables in it go by numbers that the asking side gives, so that nobody
 * waits for a number.
 */
export type Order =
  | { readonly kind: "load"; readonly executable: number; readonly model: OnnxModel }
  | { readonly kind: "put"; readonly array: number; readonly value: Plain }
  | { readonly kind: "allocate"; readonly array: number; readonly type: ArrayType }
  | {
      readonly kind: "run";
      readonly executable: number;
      readonly inputs: readonly number[];
      readonly into: readonly (number | undefined)[];
      readonly results: readonly number[];
    }
  | { readonly kind: "read"; readonly array: number }
  | { readonly kind: "dispose"; readonly array: number }
  | { readonly kind: "release"; readonly executable: number }
  | { readonly kind: "close" };

export type Request = { readonly id: number; readonly order: Order };

export type Reply = { readonly id: number; readonly value?: Plain; readonly error?: Error };
