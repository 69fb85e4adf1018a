import { onnxTypeCode } from "../onnx/graph-builder.ts";
import type { OnnxGraph, OnnxNode } from "../onnx/model.ts";

/**
 * The nodes that compute with unsigned words, which is how random bits are made, with a name for each. WebGPU has kernels
 * for their sums but not for their shifts: unless all of them stay on the CPU, every round goes to the GPU and back.
 *
 * Names are short and those of nested graphs repeat, because ONNX Runtime takes at most 8 kB of names of nodes that are
 * to stay on the CPU.
 */
export function wordNodes(graph: OnnxGraph, outerWords: ReadonlySet<string> = new Set()): Map<OnnxNode, string> {
  const words = new Set([
    ...outerWords,
    ...graph.inputs.flatMap(({ name, dtype }) => (dtype === "uint32" ? [name] : [])),
  ]);
  const found = new Map<OnnxNode, string>();
  let count = 0;
  for (const node of graph.nodes) {
    for (const attribute of Object.values(node.attributes)) {
      if ("graph" in attribute) for (const [inner, name] of wordNodes(attribute.graph, words)) found.set(inner, name);
    }
    const takesWords = node.inputs.some((name) => words.has(name));
    const makesWords = node.op === "Cast" ? castsTo(node) === onnxTypeCode.uint32 : takesWords;
    if (makesWords) for (const name of node.outputs) words.add(name);
    if ((makesWords || takesWords) && !cpuOnly.has(node.op)) found.set(node, `#${(count++).toString(36)}`);
  }
  return found;
}

/** What WebGPU cannot do with words anyway. */
const cpuOnly: ReadonlySet<string> = new Set(["BitShift", "BitwiseXor", "Scan"]);

function castsTo({ attributes: { to } }: OnnxNode): number | undefined {
  return to !== undefined && "int" in to ? to.int : undefined;
}

/** As many of the names as ONNX Runtime takes. More cost time only. */
export function withinLimit(names: Iterable<string>): string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const name of new Set(names)) {
    bytes += name.length + 1;
    if (bytes > 8000) break;
    kept.push(name);
  }
  return kept;
}
