import type { Program } from "../trace/program.ts";
import { simplify } from "../trace/simplify.ts";
import type { Tensor } from "../trace/tensor.ts";
import { GraphBuilder, type LoweringOptions } from "./graph-builder.ts";
import { mergeReshapes } from "./merge-reshapes.ts";
import type { OnnxModel, OnnxNode, OnnxValueInfo } from "./model.ts";
import { splitProducts } from "./split-products.ts";

const opset = 20;
const irVersion = 10;

export type ModelNames = { readonly inputs?: readonly string[]; readonly outputs?: readonly string[] };

/**
 * The ONNX model of a program. Default names of inputs and outputs: `in0…`, `out0…`.
 *
 * @param options `portable: true` uses only operators of the standard opset, so that any ONNX runtime loads the model;
 *   otherwise contrib operators of ONNX Runtime make it faster
 */
export function toOnnx(program: Program, options: Partial<LoweringOptions> & ModelNames = {}): OnnxModel {
  const simple = simplify(mergeReshapes(splitProducts(program)));
  const simplified = new Map<Program, Program>();
  const graph = new GraphBuilder({ portable: options.portable ?? false }, (nested, names, builder) => {
    const known = simplified.get(nested) ?? simplify(mergeReshapes(splitProducts(nested)));
    simplified.set(nested, known);
    return lowerInto(known, names, builder);
  });
  const inputNames = simple.inputs.map((_, i) => options.inputs?.[i] ?? `in${i}`);
  const results = lowerInto(simple, inputNames, graph);
  const outputNames = simple.outputs.map((_, i) => options.outputs?.[i] ?? `out${i}`);
  nameOutputs(graph, results, outputNames);
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
    const results = primitive.lower({
      graph,
      names: inputs.map((input) => names.get(input)!),
      inputs,
      outputs,
      used,
      params,
    });
    outputs.forEach((output, i) => {
      names.set(output, results[i]!);
    });
  }
  return program.outputs.map((output) => names.get(output)!);
}

/**
 * Names results as outputs. An output must be a value of its own (not an input, a constant or another output), made by a node
 * of this graph: such values are renamed; the others get an Identity node, which copies.
 */
function nameOutputs(graph: GraphBuilder, results: readonly string[], names: readonly string[]): void {
  const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  const renamed = new Map<string, string>();
  results.forEach((result, i) => {
    if (made.has(result) && !renamed.has(result)) renamed.set(result, names[i]!);
  });
  graph.nodes.forEach((node, i) => {
    graph.nodes[i] = renameValues(node, renamed);
  });
  results.forEach((result, i) => {
    const value = renamed.get(result) ?? result;
    if (value === names[i]) return;
    graph.nodes.push({ op: "Identity", domain: "", inputs: [value], outputs: [names[i]!], attributes: {} });
  });
}

function renameValues(node: OnnxNode, renamed: ReadonlyMap<string, string>): OnnxNode {
  const rename = (name: string) => renamed.get(name) ?? name;
  const attributes = Object.entries(node.attributes).map(([name, attribute]) => {
    if (!("graph" in attribute)) return [name, attribute] as const;
    const nodes = attribute.graph.nodes.map((inner) => renameValues(inner, renamed));
    return [name, { graph: { ...attribute.graph, nodes } }] as const;
  });
  return {
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
    attributes: Object.fromEntries(attributes),
  };
}

function valueInfos(tensors: readonly Tensor[], names: readonly string[]): OnnxValueInfo[] {
  return tensors.map(({ shape, dtype }, i) => ({ name: names[i]!, shape, dtype }));
}
