import type { TypedArray } from "../array/dtype.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import type { NodeDeviceName, NodeDeviceOptions } from "./node-options.ts";
import type { RowWrite } from "./row-writes.ts";

/** Start parameters of a worker. */
export type WorkerStart = { readonly name: NodeDeviceName; readonly options: NodeDeviceOptions };

/** An array in a message: class instances cannot be sent between threads. */
export type Plain = ArrayType & { readonly data: TypedArray };

/**
 * An order to the worker. Arrays and executables are identified by numbers that the sender chooses, so that it need not
 * wait for one.
 */
export type Order =
  | {
      readonly kind: "load";
      readonly executable: number;
      readonly model: OnnxModel;
      readonly writes: readonly RowWrite[];
    }
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
