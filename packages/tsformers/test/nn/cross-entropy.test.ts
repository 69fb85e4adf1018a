import {
  add,
  type Device,
  evaluate,
  fromNumbers,
  grad,
  logSoftmax,
  mean,
  mul,
  neg,
  normal,
  oneHot,
  randomKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { crossEntropies, meanCrossEntropy } from "../../src/nn/cross-entropy.ts";

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

const logits = normal(randomKey(1), [2, 3, 7], { deviation: 3 });
const targets = fromNumbers([0, 6, 3, 3, 1, 2], [2, 3], "int32");
const weights = fromNumbers([1, 0, 2, 0.5, 1, 3], [2, 3]);

/** The definition: the inner product of the smoothed target distribution with −log p. */
function plain(logits: Tensor, targets: Tensor, smoothing: number): Tensor {
  const wanted = add(mul(oneHot(targets, logits.shape.at(-1)!), 1 - smoothing), smoothing / logits.shape.at(-1)!);
  return neg(sum(mul(wanted, logSoftmax(logits)), { axes: -1 }));
}

for (const smoothing of [0, 0.1]) {
  test(`losses and gradients are those of the definition, smoothing ${smoothing}`, async () => {
    const both = (losses: (logits: Tensor, targets: Tensor) => Tensor) => (x: Tensor, at: Tensor, w: Tensor) => ({
      losses: losses(x, at),
      gradient: grad((x: Tensor) => sum(mul(losses(x, at), w)))(x),
    });
    const ours = both((x, at) => crossEntropies(x, at, { smoothing }));
    const theirs = both((x, at) => plain(x, at, smoothing));
    const [a, b] = [
      await evaluate(ours, device, logits, targets, weights),
      await evaluate(theirs, device, logits, targets, weights),
    ];
    for (const name of ["losses", "gradient"] as const) {
      // float32 rounding of numbers below 20
      a[name].toNumbers().forEach((value, i) => {
        expect(value).toBeCloseTo(b[name].toNumbers()[i]!, 5);
      });
    }
  });
}

test("a confident wrong answer costs its margin, however large", async () => {
  const x = fromNumbers([0, 5000, 1], [1, 3]);
  const result = await evaluate(
    (x: Tensor, at: Tensor) => mean(crossEntropies(x, at)),
    device,
    x,
    fromNumbers([0], [1], "int32"),
  );
  expect(result.item()).toBe(5000);
});

test("ignored targets neither count nor get gradients", async () => {
  const some = fromNumbers([0, -100, 3, -100, 1, 2], [2, 3], "int32");
  const result = await evaluate(
    (x: Tensor, at: Tensor) => ({
      loss: meanCrossEntropy(x, at),
      gradient: grad((x: Tensor) => meanCrossEntropy(x, at))(x),
    }),
    device,
    logits,
    some,
  );
  const all = (await evaluate((x: Tensor, at: Tensor) => crossEntropies(x, at), device, logits, targets)).toNumbers();
  expect(result.loss.item()).toBeCloseTo((all[0]! + all[2]! + all[4]! + all[5]!) / 4, 5);
  expect(result.gradient.toNumbers().slice(7, 14)).toEqual([0, 0, 0, 0, 0, 0, 0]);
});

test("smoothing out of range is refused", async () => {
  const refused = evaluate((x: Tensor, at: Tensor) => crossEntropies(x, at, { smoothing: 1 }), device, logits, targets);
  await expect(refused).rejects.toThrow("smoothing must be ≥ 0 and < 1, got 1");
});
