import { compile, constant, mul, type NDArray, normal, randomKey, sum, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { convolution2d } from "../../src/nn/convolution-2d.ts";
import { pictureNetwork } from "../../src/nn/picture-network.ts";
import { slopes } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

/** `y[r, c] = W·(x in the window at (r·stride, c·stride)) + b`, written out. */
function definition(
  x: readonly number[],
  { weight, bias }: Readonly<Record<"weight" | "bias", readonly number[]>>,
  { side, inChannels, outChannels, kernel, stride }: Readonly<Record<string, number>> & { side: number },
): number[] {
  const y: number[] = [];
  for (let r = 0; r + kernel! <= side; r += stride!)
    for (let c = 0; c + kernel! <= side; c += stride!)
      for (let out = 0; out < outChannels!; out++) {
        let sum = bias[out]!;
        for (let dr = 0; dr < kernel!; dr++)
          for (let dc = 0; dc < kernel!; dc++)
            for (let i = 0; i < inChannels!; i++)
              sum +=
                x[((r + dr) * side + c + dc) * inChannels! + i]! *
                weight[((dr * kernel! + dc) * inChannels! + i) * outChannels! + out]!;
        y.push(sum);
      }
  return y;
}

describe.each([
  { side: 7, inChannels: 1, outChannels: 3, kernel: 4, stride: 2 },
  { side: 5, inChannels: 2, outChannels: 2, kernel: 3, stride: 1 },
  { side: 4, inChannels: 3, outChannels: 1, kernel: 4, stride: 3 },
])("a convolution %j", (sizes) => {
  const layer = convolution2d(sizes);
  const params = layer.init(randomKey(1));
  const x = normal(randomKey(2), [2, sizes.side ** 2, sizes.inChannels]);

  test("is that of its definition", async () => {
    const pass = compile((given: never, x: Tensor) => layer.apply(given, x), { device });
    const out = (await pass(params as never, x as never)) as unknown as { read(): Promise<NDArray> };
    const found = (await out.read()).toNumbers();
    const [weight, bias] = [params.weight.toNumbers(), params.bias!.toNumbers()];
    const each = sizes.side ** 2 * sizes.inChannels;
    const expected = [0, 1].flatMap((n) =>
      definition(x.toNumbers().slice(n * each, (n + 1) * each), { weight, bias }, sizes),
    );
    expect(found).toHaveLength(expected.length);
    found.forEach((value, i) => void expect(value).toBeCloseTo(expected[i]!, 4));
    await pass.release();
  });
});

test("gradients through the network of pictures are those of central differences", () => {
  const network = pictureNetwork(22, 3);
  const pictures = normal(randomKey(3), [1, 2, 22 ** 2]);
  const { byGradient, byDifference } = slopes(
    (weights: never) => {
      const y = network.apply(weights, constant(pictures));
      return sum(mul(y, y));
    },
    network.init(randomKey(4)) as never,
  );
  expect(Math.abs(byGradient)).toBeGreaterThan(1e-3);
  expect(Math.abs(byGradient - byDifference)).toBeLessThan(1e-3 * Math.max(1, Math.abs(byDifference)));
});

test("sizes that do not fit are refused", () => {
  expect(() => convolution2d({ side: 3, inChannels: 1, outChannels: 1, kernel: 4 })).toThrow("does not fit 3 × 3");
  expect(() => pictureNetwork(21, 8)).toThrow("at least 22 × 22 pixels, got 21 × 21");
});
