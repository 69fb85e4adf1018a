import { expect, test } from "vitest";
import {
  add, compile, gelu, interpret, layerNorm, matmul, mean, mul, ndarray, readTree, recompute, scan, square, sub, sum, tanh,
  type Tensor, trace, valueAndGrad, flatten, type NDArray, toOnnx, full, scanPrimitive,
} from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";

type Mlp = { w1: Tensor; b1: Tensor; w2: Tensor };

function loss(p: Mlp, x: Tensor, y: Tensor): Tensor {
  const h = recompute((x: Tensor) => tanh(add(matmul(x, p.w1), p.b1)))(x);
  return mean(square(sub(matmul(h, p.w2), y)));
}

const step = (p: Mlp, x: Tensor, y: Tensor): { p: Mlp; loss: Tensor } => {
  const { value, gradient } = valueAndGrad(loss)(p, x, y);
  const next = {
    w1: sub(p.w1, mul(gradient.w1, 0.1)),
    b1: sub(p.b1, mul(gradient.b1, 0.1)),
    w2: sub(p.w2, mul(gradient.w2, 0.1)),
  };
  return { p: next, loss: value };
};

test("a training step lowers the loss", async () => {
  const device = await openCpu();
  const compiled = compile(step, { device, donate: [0] });
  let p: never = { w1: ndarray([[0.1, 0.2, -0.3], [0.4, -0.5, 0.6]]), b1: full([3], 0), w2: ndarray([[0.5], [-0.4], [0.3]]) } as never;
  const x = ndarray([[1, 2], [3, 4], [-1, 0.5], [0, 1]]);
  const y = ndarray([[1], [0], [1], [0]]);
  const losses: number[] = [];
  for (let i = 0; i < 20; i++) {
    const out = await compiled(p, x, y);
    p = out.p as never;
    losses.push((await out.loss.read()).item());
  }
  expect(losses[19]!).toBeLessThan(losses[0]! * 0.8);
});

test("scan accumulates and differentiates", async () => {
  const f = (w: Tensor, xs: Tensor) => {
    const total = (w: Tensor) => {
      const [c] = scan((c: Tensor, x: Tensor) => [tanh(add(mul(c, w), x)), []] as const, full0(xs), xs);
      return sum(c);
    };
    return valueAndGrad(total)(w);
  };
  const full0 = (xs: Tensor) => mul(sum(xs, { axes: 0 }), 0);
  const w = ndarray([0.5, -0.3]);
  const xs = ndarray([[0.1, 0.2], [0.3, -0.4], [0.5, 0.6], [0.7, -0.8], [0.2, 0.1], [0.9, 0.4]]);
  const { leaves, structure } = flatten([w, xs], (v): v is NDArray => typeof v === "object" && v !== null && "data" in v);
  const { program } = trace(f as never, structure, leaves);
  const [value, g] = interpret(program, leaves);
  const h = 1e-6;
  for (const i of [0, 1]) {
    const at = (d: number) => interpret(program, [ndarray([0, 1].map((j) => w.toNumbers()[j]! + (j === i ? d : 0)), [2], "float64" as never), xs])[0]!.item();
    expect((at(h) - at(-h)) / 2 / h).toBeCloseTo(g!.toNumbers()[i]!, 5);
  }
  const device = await openCpu();
  const out = await readTree(await compile(f as never, { device })(...([w, xs] as never[])));
  expect((out as { value: NDArray }).value.item()).toBeCloseTo(value!.item(), 5);
  expect((out as { gradient: NDArray }).gradient.toNumbers()[0]).toBeCloseTo(g!.toNumbers()[0]!, 5);
  expect(toOnnx(program).graph.nodes.some((n) => n.op === "Scan")).toBe(true);
});
