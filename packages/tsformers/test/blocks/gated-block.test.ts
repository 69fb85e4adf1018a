import {
  add,
  type Device,
  evaluate,
  grad,
  mul,
  type NDArray,
  normal,
  randomKey,
  relu,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { gatedBlock } from "../../src/blocks/gated-block.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import {
  type Gate,
  gruGate,
  highwayGate,
  inputGate,
  outputGate,
  residualGate,
  sigTanhGate,
} from "../../src/nn/gate.ts";
import { layerNorm } from "../../src/nn/norm.ts";

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

const width = 3;
const [x, y] = [normal(randomKey(1), [2, width]), normal(randomKey(2), [2, width])];
const wide = {
  modelWidth: width,
  initial: (key: Parameters<typeof normal>[0], shape: readonly number[]) => normal(key, shape),
};

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

/** The formulas, element by element; `dot(m, v, i)` is element i of v·m. */
const dot = (matrix: NDArray, v: readonly number[], i: number) =>
  v.reduce((total, value, j) => total + value * matrix.toNumbers()[j * width + i]!, 0);

type Weights = Record<string, NDArray>;
const formulas: Record<string, [Gate<never>, (p: Weights, x: number[], y: number[], i: number) => number]> = {
  residual: [residualGate() as Gate<never>, (_, x, y, i) => x[i]! + y[i]!],
  input: [inputGate(wide) as unknown as Gate<never>, (p, x, y, i) => sigmoid(dot(p.gate!, x, i)) * x[i]! + y[i]!],
  output: [outputGate(wide) as unknown as Gate<never>, (p, x, y, i) => x[i]! + sigmoid(dot(p.gate!, x, i) - 2) * y[i]!],
  highway: [
    highwayGate(wide) as unknown as Gate<never>,
    (p, x, y, i) => {
      const s = sigmoid(dot(p.gate!, x, i) + 2);
      return s * x[i]! + (1 - s) * y[i]!;
    },
  ],
  sigTanh: [
    sigTanhGate(wide) as unknown as Gate<never>,
    (p, x, y, i) => x[i]! + sigmoid(dot(p.gate!, y, i) - 2) * Math.tanh(dot(p.candidate!, y, i)),
  ],
  gru: [
    gruGate(wide) as unknown as Gate<never>,
    (p, x, y, i) => {
      const reset = x.map((_, j) => sigmoid(dot(p.resetY!, y, j) + dot(p.resetX!, x, j)));
      const z = sigmoid(dot(p.updateY!, y, i) + dot(p.updateX!, x, i) - 2);
      const candidate = Math.tanh(
        dot(p.candidateY!, y, i) +
          dot(
            p.candidateX!,
            x.map((v, j) => v * reset[j]!),
            i,
          ),
      );
      return (1 - z) * x[i]! + z * candidate;
    },
  ],
};

test.each(Object.entries(formulas))("%s gate is its formula", async (_, [gate, formula]) => {
  const params = gate.init(randomKey(3)) as Weights;
  const out = await evaluate(gate.apply as never, device, params as never, x as never, y as never);
  const rows = (array: NDArray) => [array.toNumbers().slice(0, width), array.toNumbers().slice(width)] as const;
  const expected = [0, 1].flatMap((row) => [0, 1, 2].map((i) => formula(params, rows(x)[row]!, rows(y)[row]!, i)));
  // float32
  (out as unknown as NDArray).toNumbers().forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 5);
  });
});

const parts = {
  modelWidth: 8,
  norm: layerNorm(),
  mixer: attention({ modelWidth: 8, heads: 2 }),
  ffn: mlp({ modelWidth: 8, ffnWidth: 16, activation: geluTanh }),
};
const states = normal(randomKey(4), [2, 5, 8]);
const view = () => makeView({ pattern: causal, queries: 5, keys: 5 });

test("a block is norm, sublayer, ReLU, gate, twice", async () => {
  const block = gatedBlock({ ...parts, gate: gruGate({ modelWidth: 8, initial: (key, shape) => normal(key, shape) }) });
  type Params = Parameters<typeof block.apply>[0];
  const params = block.init(randomKey(5));
  const written = (p: Params, x: Tensor) => {
    const norm = layerNorm()(8);
    const gate = gruGate({ modelWidth: 8 });
    const mixed = parts.mixer.apply(p.mixer, { x: norm.apply(p.mixerNorm, x), view: view() }, evaluation).y;
    const first = gate.apply(p.mixerGate, x, relu(mixed));
    return gate.apply(p.ffnGate, first, relu(parts.ffn.apply(p.ffn, norm.apply(p.ffnNorm, first), evaluation)));
  };
  const ours = (p: Params, x: Tensor) => block.apply(p, { x, view: view() }, evaluation).y;
  const both = (fn: typeof ours) => (p: Params, x: Tensor) => ({
    out: fn(p, x),
    slopes: grad((p: Params) => sum(mul(fn(p, x), x)))(p).mixer.query.weight,
  });
  const [a, b] = [
    await evaluate(both(ours), device, params, states),
    await evaluate(both(written), device, params, states),
  ];
  expect(a.out.toNumbers()).toEqual(b.out.toNumbers());
  expect(a.slopes.toNumbers()).toEqual(b.slopes.toNumbers());
});

test("gates that are shut leave the stream untouched; without a gate nothing is held back", async () => {
  const shut = gatedBlock({ ...parts, gate: gruGate({ modelWidth: 8, bias: 100 }) });
  const through = (p: Parameters<typeof shut.apply>[0], x: Tensor) => shut.apply(p, { x, view: view() }, evaluation).y;
  const out = await evaluate(through, device, shut.init(randomKey(5)), states);
  expect(out.toNumbers()).toEqual(states.toNumbers());
  const open = gatedBlock({ ...parts, gate: residualGate(), activation: (x) => add(x, 1) });
  const moved = (p: Parameters<typeof open.apply>[0], x: Tensor) => open.apply(p, { x, view: view() }, evaluation).y;
  const far = (await evaluate(moved, device, open.init(randomKey(5)), states)).toNumbers();
  // each sublayer of a fresh block adds next to nothing, and the activation 1
  far.forEach((value, i) => {
    expect(Math.abs(value - states.toNumbers()[i]! - 2)).toBeLessThan(0.1);
  });
});
