import type { DType } from "../array/dtype.ts";
import type { NDArray } from "../array/nd-array.ts";

/** One attribute of a node, tagged with its ONNX type. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly tensor: NDArray }
  | { readonly graph: OnnxGraph };

export type OnnxNode = {
  readonly op: string;
  /** `""` is the standard domain; `"com.microsoft"` holds ONNX Runtime's contrib operators. */
  readonly domain: string;
  /** Names; `""` marks an absent optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
};

/** Element types in graphs: the engine's own, and the unsigned words that random bits need internally. */
export type OnnxDType = DType | "uint32" | "string";

export type OnnxValueInfo = {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly (number | string)[];
};

export type OnnxGraph = {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly { readonly name: string; readonly value: NDArray }[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
};

export type OnnxModel = {
  readonly irVersion: number;
  /** Operator set version by domain. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: string;
  readonly graph: OnnxGraph;
  readonly metadata?: Readonly<Record<string, string>>;
};
