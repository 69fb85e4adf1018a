import { onnxTypeCode } from "../onnx/graph-builder.ts";
import type { OnnxGraph, OnnxNode } from "../onnx/model.ts";

/**
 * The nodes that compute with unsigned words, by which random bits are made, with a name for each. WebGPU has kernels
 * for adding such words but not for shifting them: with only some of these nodes on the CPU, every round would be copied to and fro.
 *
 * Names are short, and those of nested graphs repeat, because ONNX Runtime accepts at most 8 kB of names of nodes
 * that must run on the CPU.
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

/** Operators on words that WebGPU lacks. */
const cpuOnly: ReadonlySet<string> = new Set(["BitShift", "BitwiseXor", "Scan"]);

function castsTo({ attributes: { to } }: OnnxNode): number | undefined {
  return to !== undefined && "int" in to ? to.int : undefined;
}

/** As many of the names as ONNX Runtime accepts. Leaving some out only costs time. */
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
