import { expect, test } from "vitest";
import { add, cast, foldKey, type OnnxGraph, randomBits, type Tensor, toOnnx, traceBody } from "../../src/index.ts";
import { withinLimit, wordNodes } from "../../src/runtime/word-nodes.ts";

const { graph } = toOnnx(
  traceBody([{ shape: [2], dtype: "int32" }], ([key]) => {
    const bits = (n: number): Tensor => cast(randomBits(foldKey(key!, n), [4]), "float32");
    return add(bits(1), bits(2));
  }).program,
);

function bodies({ nodes }: OnnxGraph): OnnxGraph[] {
  return nodes.flatMap(({ attributes }) =>
    Object.values(attributes).flatMap((attribute) => ("graph" in attribute ? [attribute.graph] : [])),
  );
}

test("sums of words have a name, floats have none", () => {
  const names = wordNodes(graph);
  const sums = bodies(graph).flatMap(({ nodes }) => nodes.filter(({ op }) => op === "Add" || op === "Mul"));
  expect(sums.length).toBeGreaterThan(0);
  for (const node of sums) expect(names.get(node)).toMatch(/^#[0-9a-z]+$/);
  const last = graph.nodes.findLast(({ op }) => op === "Add")!;
  expect(names.has(last)).toBe(false);
});

test("names are unique in a graph and repeat between nested ones", () => {
  const names = wordNodes(graph);
  const of = ({ nodes }: OnnxGraph) => nodes.flatMap((node) => names.get(node) ?? []);
  for (const each of [graph, ...bodies(graph)]) expect(new Set(of(each)).size).toBe(of(each).length);
  const [first, second] = bodies(graph);
  expect(of(first!)).toEqual(of(second!));
});

test("the list stays within what ONNX Runtime takes", () => {
  const many = Array.from({ length: 5000 }, (_, i) => `#${i}`);
  expect(withinLimit(many).join("\n").length).toBeLessThan(8192);
  expect(withinLimit(["#0", "#1", "#0"])).toEqual(["#0", "#1"]);
});
