import { expect, test } from "vitest";
import {
  add,
  bernoulli,
  customGradient,
  exp,
  foldKey,
  fromNumbers,
  grad,
  matmul,
  mul,
  normal,
  type OnnxModel,
  randomKey,
  recompute,
  reversibleSteps,
  sin,
  sum,
  type Tensor,
  tanh,
  toOnnx,
  traceBody,
  where,
} from "../../src/index.ts";

// ONNX Runtime starts at the leaves and computes a node when it first needs it: what a node reads, directly or not, is all that
// decides what is in memory when.

const size = [4, 4];
const x = normal(randomKey(1), size);
const weights = [2, 3, 4].map((seed) => normal(randomKey(seed), size));

function modelOf(fn: (x: Tensor, ...weights: Tensor[]) => unknown, ...more: (typeof x)[]): OnnxModel {
  const { program } = traceBody([x, ...weights, ...more], ([x, ...rest]) => fn(x!, ...rest));
  return toOnnx(program);
}

/** Whether value `later` is made of `earlier`. */
function reads({ graph }: OnnxModel, later: string, earlier: string): boolean {
  const maker = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const seen = new Set<string>();
  const walk = (name: string): boolean => {
    if (name === earlier) return true;
    if (seen.has(name)) return false;
    seen.add(name);
    return (maker.get(name)?.inputs ?? []).some(walk);
  };
  return walk(later);
}

test("a recomputed layer's gradient waits for the parameter's gradient of the layer behind it", () => {
  const layer = (x: Tensor, w: Tensor) => exp(matmul(x, w));
  const slopes =
    (each: typeof layer) =>
    (x: Tensor, ...weights: Tensor[]) =>
      grad((weights: Tensor[]) => sum(weights.reduce((x, w) => each(x, w), x)))(weights);
  const forgetful = modelOf(slopes((x, w) => recompute(layer)(x, w)));
  expect([reads(forgetful, "out0", "out1"), reads(forgetful, "out1", "out2")]).toEqual([true, true]);
  expect(reads(modelOf(slopes(layer)), "out0", "out1")).toBe(false);
});

test("a reversible step is undone after the gradients of the step behind it; its mask waits for the stream", () => {
  const key = fromNumbers([1, 2], [2], "int32");
  const model = modelOf((x, ...rest) => {
    const [key, weights] = [rest.at(-1)!, rest.slice(0, -1)];
    return grad((weights: Tensor[]) => {
      const steps = weights.map((w, i) => (stream: Tensor): [Tensor] => {
        const hidden = tanh(matmul(stream, w));
        return [where(bernoulli(foldKey(key, i), 0.5, size), hidden, 0)];
      });
      return sum(mul(...reversibleSteps([x, x], steps).streams));
    })(weights);
  }, key);
  expect([reads(model, "out0", "out1"), reads(model, "out1", "out2")]).toEqual([true, true]);
  // Every mask comes from the key, but only after something else.
  const rounds = model.graph.nodes.filter(({ op }) => op === "Scan").map(({ outputs }) => outputs[0]!);
  expect(rounds.length).toBeGreaterThan(6);
  const free = rounds.filter((mask) => !["in0"].some((name) => reads(model, mask, name)));
  expect(free).toEqual([]);
});

test("what a nested program computes for nobody is not in the model", () => {
  const twofold = customGradient({ forward: (x) => [sin(x!), exp(x!)], backward: () => [] });
  const of = (pick: (outputs: Tensor[]) => Tensor) =>
    modelOf((x) => pick(twofold(x)))
      .graph.nodes.map(({ op }) => op)
      .filter((op) => op === "Sin" || op === "Exp");
  expect(of(([a]) => a!)).toEqual(["Sin"]);
  expect(of(([, b]) => b!)).toEqual(["Exp"]);
  expect(of(([a, b]) => add(a!, b!))).toEqual(["Sin", "Exp"]);
});
