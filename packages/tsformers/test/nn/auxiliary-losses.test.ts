import {
  add,
  type Device,
  evaluate,
  fromNumbers,
  grad,
  matmul,
  type NDArray,
  normal,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type AuxiliaryLosses,
  type AuxiliaryLossOptions,
  auxiliaryLosses,
  layersOn,
} from "../../src/nn/auxiliary-losses.ts";

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

test.each([
  [0, [1, 1, 1, 1]],
  [0.124, [1, 1, 1, 1]],
  [0.125, [0, 1, 1, 1]],
  [0.3, [0, 0, 1, 1]],
  [0.375, [0, 0, 0, 1]],
  [1, [0, 0, 0, 1]],
])("of 4 layers, with a share of %d done, those on are %j", async (share, on) => {
  const out = await evaluate((share: Tensor) => layersOn(4, share), device, fromNumbers([share], []));
  expect(out.toNumbers()).toEqual(on);
});

const [vocabulary, width, batch, length] = [5, 3, 2, 4];
const hidden = [1, 2, 3].map((seed) => normal(randomKey(seed), [batch, length, width]));
const heads = [4, 5].map((seed) => normal(randomKey(seed), [width, vocabulary]));
const targets = fromNumbers([0, 1, 2, 3, 4, 3, 2, 1], [batch, length], "int32");
const weights = fromNumbers([1, 1, 0, 1, 1, 2, 1, 1], [batch, length]);

const run =
  (options: AuxiliaryLossOptions = {}) =>
  (hidden: Tensor[], heads: Tensor[], targets: Tensor, weights: Tensor, share: Tensor) => {
    const loss = (hidden: Tensor[]) => {
      const of = heads.map((head) => (x: Tensor) => matmul(x, head));
      return auxiliaryLosses({ hidden, heads: of, targets, weights, progress: share }, options);
    };
    const both = ({ layers, later }: AuxiliaryLosses) => add(layers, later);
    return { ...loss(hidden), slopes: grad((hidden: Tensor[]) => both(loss(hidden)))(hidden) };
  };

/** −log softmax(x·head)[target], written out. */
function lossAt(x: NDArray, head: NDArray, b: number, t: number, target: number): number {
  const at = (v: number) =>
    [0, 1, 2].reduce(
      (total, c) => total + x.toNumbers()[(b * length + t) * width + c]! * head.toNumbers()[c * vocabulary + v]!,
      0,
    );
  const logits = Array.from({ length: vocabulary }, (_, v) => at(v));
  return Math.log(logits.reduce((total, z) => total + Math.exp(z), 0)) - logits[target]!;
}

/** Means over the weights, which add up to 8; the next symbol of the last layer is the model's own loss. */
function expected(on: readonly number[], laterWeight: number): { layers: number; later: number } {
  const [aims, counts] = [targets.toNumbers(), weights.toNumbers()];
  let [layers, later] = [0, 0];
  on.forEach((factor, layer) => {
    for (let b = 0; b < batch; b++) {
      for (let t = 0; t < length; t++) {
        const i = b * length + t;
        if (layer < 2) layers += (factor * counts[i]! * lossAt(hidden[layer]!, heads[0]!, b, t, aims[i]!)) / 8;
        if (t + 1 === length) continue;
        const both = counts[i]! * counts[i + 1]!;
        later += (factor * laterWeight * both * lossAt(hidden[layer]!, heads[1]!, b, t, aims[i + 1]!)) / 8;
      }
    }
  });
  return { layers, later };
}

test.each([
  [0, [1, 1, 1], {}],
  [0.2, [0, 1, 1], { laterWeight: 0.25 }],
  [0.9, [0, 0, 1], {}],
  [0.2, [0, 1, 1], { chunkLength: 3 }],
])("with a share of %d done the loss is the sum over layers %j, positions and targets", async (share, on, options) => {
  const out = await evaluate(run(options), device, hidden, heads, targets, weights, fromNumbers([share], []));
  const { layers, later, slopes } = out;
  const right = expected(on, "laterWeight" in options ? options.laterWeight : 0.5);
  expect(layers.item()).toBeCloseTo(right.layers, 4);
  expect(later.item()).toBeCloseTo(right.later, 4);
  const moved = slopes.map((slope) => slope.toNumbers().some((value) => value !== 0));
  expect(moved).toEqual(on.map((factor) => factor === 1));
});

test("one layer has no loss but the model's own; a row of one position has no later target", async () => {
  const one = (x: Tensor, head: Tensor, targets: Tensor, weights: Tensor, progress: Tensor) => {
    const toLogits = (x: Tensor) => matmul(x, head);
    return auxiliaryLosses({ hidden: [x], heads: [toLogits, toLogits], targets, weights, progress });
  };
  const x = normal(randomKey(7), [1, 1, width]);
  const target = fromNumbers([2], [1, 1], "int32");
  const out = await evaluate(one, device, x, heads[0]!, target, fromNumbers([1], [1, 1]), fromNumbers([0], []));
  expect([out.layers.item(), out.later.item()]).toEqual([0, 0]);
});
