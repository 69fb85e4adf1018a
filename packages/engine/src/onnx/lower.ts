import type { Program } from "../trace/program.ts";
import type { Tensor } from "../trace/tensor.ts";
import { GraphBuilder, type LoweringOptions } from "./graph-builder.ts";
import type { OnnxModel, OnnxValueInfo } from "./model.ts";
import { simplify } from "./simplify.ts";

const opset = 20;
const irVersion = 10;

export type ModelNames = { readonly inputs?: readonly string[]; readonly outputs?: readonly string[] };

/**
 * The ONNX model of a program. Inputs and outputs are called `in0…`, `out0…` unless named.
 *
 * @param options `portable: true` uses only operators of the standard opset, so that any ONNX runtime loads the model;
 *   otherwise contrib operators of ONNX Runtime make it faster
 */
export function toOnnx(program: Program, options: Partial<LoweringOptions> & ModelNames = {}): OnnxModel {
  const simple = simplify(program);
  const graph = new GraphBuilder({ portable: options.portable ?? false }, lowerInto);
  const inputNames = simple.inputs.map((_, i) => options.inputs?.[i] ?? `in${i}`);
  const results = lowerInto(simple, inputNames, graph);
  const outputNames = simple.outputs.map((_, i) => options.outputs?.[i] ?? `out${i}`);
  // An output is a value of its own: not an input, not a constant, not another output.
  results.forEach((name, i) => {
    graph.nodes.push({ op: "Identity", domain: "", inputs: [name], outputs: [outputNames[i]!], attributes: {} });
  });
  return {
    irVersion,
    opsets: options.portable ? { "": opset } : { "": opset, "com.microsoft": 1 },
    producer: "tsformers",
    graph: {
      name: "program",
      nodes: graph.nodes,
      initializers: graph.initializers,
      inputs: valueInfos(simple.inputs, inputNames),
      outputs: valueInfos(simple.outputs, outputNames),
    },
  };
}

/** Writes the nodes of a program; returns the names of its outputs. */
function lowerInto(program: Program, inputNames: readonly string[], graph: GraphBuilder): string[] {
  const names = new Map<Tensor, string>();
  program.inputs.forEach((input, i) => {
    names.set(input, inputNames[i]!);
  });
  const read = new Set<Tensor>(program.outputs);
  for (const { inputs } of program.equations) for (const input of inputs) read.add(input);
  for (const { primitive, inputs, outputs, params } of program.equations) {
    const used = outputs.map((output) => read.has(output));
    const results = primitive.lower({ graph, names: inputs.map((input) => names.get(input)!), inputs, outputs, used, params });
    outputs.forEach((output, i) => {
      names.set(output, results[i]!);
    });
  }
  return program.outputs.map((output) => names.get(output)!);
}

function valueInfos(tensors: readonly Tensor[], names: readonly string[]): OnnxValueInfo[] {
  return tensors.map(({ shape, dtype }, i) => ({ name: names[i]!, shape, dtype }));
}
