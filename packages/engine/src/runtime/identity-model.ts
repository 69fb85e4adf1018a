import type { DType } from "../array/dtype.ts";
import type { OnnxModel } from "../onnx/model.ts";

/** A model that copies an array of any shape from `in` to `out`. */
export function identityModel(dtype: DType, rank: number): OnnxModel {
  const shape = Array.from({ length: rank }, (_, axis) => `n${axis}`);
  return {
    irVersion: 10,
    opsets: { "": 20 },
    producer: "tsformers",
    graph: {
      name: "identity",
      nodes: [{ op: "Identity", domain: "", inputs: ["in"], outputs: ["out"], attributes: {} }],
      initializers: [],
      inputs: [{ name: "in", dtype, shape }],
      outputs: [{ name: "out", dtype, shape }],
    },
  };
}
