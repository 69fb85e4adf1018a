import {
  type Concrete,
  compile,
  fromNumbers,
  keyToArray,
  type NDArray,
  randomKey,
  readTree,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import type { LinearParams } from "../../src/nn/linear.ts";
import { discretisedLogistics } from "../../src/pictures/discretised-logistics.ts";

const device = await openCpu();
afterAll(() => device.close());

async function run(fn: unknown, ...args: unknown[]): Promise<unknown> {
  const compiled = compile(fn as () => unknown, { device }) as unknown as ((...args: unknown[]) => Promise<never>) & {
    release(): Promise<void>;
  };
  try {
    return await readTree(await compiled(...args));
  } finally {
    await compiled.release();
  }
}

/** The numbers of a mixture are the features themselves: the head is the identity. */
function identity(width: number): Concrete<LinearParams> {
  const eye = Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0));
  return { weight: fromNumbers(eye, [width, width]), bias: fromNumbers(Array<number>(width).fill(0), [width]) };
}

const [channels, levels, mixtures] = [3, 256, 2];
const width = mixtures * 10;
const likelihood = discretisedLogistics(width, { channels, levels, mixtures });

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The definition in double precision, by differences of the distribution function. */
function slowProbability(raw: readonly number[], value: readonly number[]): number {
  const part = (at: number, m: number): number => raw[at * mixtures + m]!;
  const real = value.map((v) => (2 * v) / (levels - 1) - 1);
  const weights = [0, 1].map((m) => Math.exp(part(0, m)));
  const total = weights.reduce((a, b) => a + b, 0);
  return [0, 1].reduce((probability, m) => {
    const [a10, a20, a21] = [7, 8, 9].map((at) => Math.tanh(part(at, m)));
    const means = [part(1, m), part(2, m) + a10! * real[0]!, part(3, m) + a20! * real[0]! + a21! * real[1]!];
    const ofChannels = means.reduce((product, mean, c) => {
      const scale = Math.exp(Math.max(part(4 + c, m), -7));
      // On the side of the distribution where its function is small, so that differences keep their digits.
      const side = real[c]! > mean ? -1 : 1;
      const at = (x: number): number => sigmoid((side * (x - mean)) / scale);
      const ends = side > 0 ? [0, 1] : [1, 0];
      const low = value[c] === 0 ? ends[0]! : at(real[c]! - 1 / (levels - 1));
      const high = value[c] === levels - 1 ? ends[1]! : at(real[c]! + 1 / (levels - 1));
      return product * Math.abs(high - low);
    }, 1);
    return probability + (weights[m]! / total) * ofChannels;
  }, 0);
}

const raw = [0.3, -0.4, -0.2, 0.6, 0.1, -0.7, 0.5, 0, -2, -1, -3, -0.5, -1.5, -4, 0.8, -0.3, 0.2, 1.5, -0.9, 0.1];
const natsOf = async (features: readonly number[], values: readonly (readonly number[])[]): Promise<number[]> => {
  const x = fromNumbers(
    values.flatMap(() => features),
    [values.length, width],
  );
  const given = fromNumbers(values.flat(), [values.length, channels], "int32");
  return ((await run(likelihood.nats, identity(width), x, given)) as NDArray).toNumbers();
};

async function lossOf(features: readonly number[], values: NDArray): Promise<{ value: NDArray; gradient: NDArray }> {
  const loss = (x: Tensor, given: Tensor) => sum(likelihood.nats(identity(width) as never, x, given));
  return (await run(valueAndGrad(loss), fromNumbers(features, [1, width]), values)) as never;
}

describe("discretised logistics", () => {
  test("equal the definition, in the middle and at both ends", async () => {
    const values = [
      [0, 0, 0],
      [255, 255, 255],
      [0, 255, 128],
      [100, 90, 130],
      [1, 254, 3],
      [127, 128, 255],
      [60, 0, 200],
    ];
    const nats = await natsOf(raw, values);
    // float32 against double precision.
    values.forEach((value, i) => {
      expect(nats[i], `${value}`).toBeCloseTo(-Math.log(slowProbability(raw, value)), 4);
    });
  });

  test.each([
    ["as drawn", [0.3, -0.4, -0.2, 0.6, -2, -1]],
    ["narrow: below the least scale", [0.3, -0.4, -0.2, 0.6, -9, -8]],
    ["wide: far beyond the range", [0.3, -0.4, -0.2, 0.6, 6, 3]],
    ["means outside", [0.3, -0.4, -1.2, 1.6, -2, -5]],
  ])("the 256 probabilities of a channel sum to 1: %s", async (_, features) => {
    const one = discretisedLogistics(6, { channels: 1, levels, mixtures: 2 });
    const x = fromNumbers(Array<number[]>(levels).fill(features).flat(), [levels, 6]);
    const all = fromNumbers(
      Array.from({ length: levels }, (_, level) => level),
      [levels, 1],
      "int32",
    );
    const nats = ((await run(one.nats, identity(6), x, all)) as NDArray).toNumbers();
    expect(Math.abs(nats.reduce((total, value) => total + Math.exp(-value), 0) - 1)).toBeLessThan(1e-5);
  });

  test("far from all means, probabilities are finite and have gradients", async () => {
    const narrow = raw.map((x, i) => (i >= 8 && i < 14 ? -7 : x));
    const values = fromNumbers([255, 0, 0], [1, 3], "int32");
    const { value, gradient } = await lossOf(narrow, values);
    expect(value.item()).toBeGreaterThan(100);
    expect(Number.isFinite(value.item())).toBe(true);
    expect(gradient.toNumbers().every(Number.isFinite)).toBe(true);
    expect(Math.max(...gradient.toNumbers().map(Math.abs))).toBeGreaterThan(1);
  });

  test("gradients are those of the definition", async () => {
    const value = [[100, 90, 255]];
    const given = fromNumbers(value.flat(), [1, 3], "int32");
    const { gradient } = await lossOf(raw, given);
    const at = (i: number, by: number): number =>
      -Math.log(
        slowProbability(
          raw.map((x, j) => (j === i ? x + by : x)),
          value[0]!,
        ),
      );
    gradient.toNumbers().forEach((found, i) => {
      expect(found, `number ${i}`).toBeCloseTo((at(i, 1e-5) - at(i, -1e-5)) / 2e-5, 3);
    });
  });

  test("draws follow the distribution, channel by channel", async () => {
    const count = 20_000;
    const x = fromNumbers(Array.from({ length: count }, () => raw).flat(), [count, width]);
    const draw = (params: LinearParams, features: Tensor, key: Tensor) => likelihood.draw(params, features, key, 1);
    const drawn = ((await run(draw, identity(width), x, keyToArray(randomKey(5)))) as NDArray).toNumbers();
    const first = new Array<number>(4).fill(0);
    for (let b = 0; b < count; b++) first[Math.floor(drawn[3 * b]! / 64)]! += 1 / count;
    // The first channel alone, in quarters: the others are summed out by hand.
    const weights = [0, 1].map((m) => Math.exp(raw[m]!));
    const below = (v: number): number =>
      [0, 1].reduce((p, m) => {
        const edge = (2 * v - 1) / (levels - 1) - 1;
        return p + (weights[m]! / (weights[0]! + weights[1]!)) * sigmoid((edge - raw[2 + m]!) / Math.exp(raw[8 + m]!));
      }, 0);
    const quarters = [below(64), below(128) - below(64), below(192) - below(128), 1 - below(192)];
    quarters.forEach((share, q) => {
      expect(Math.abs(first[q]! - share)).toBeLessThan(0.015);
    });
  });
});
