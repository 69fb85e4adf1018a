import { evaluate, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { type ShortConvolutionParams, shortConvolution } from "../../src/attention/index.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { countParameters } from "../../src/run/count-parameters.ts";
import { inputs, louder, rowsOf, sizes } from "./mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const { modelWidth } = sizes;

/** The definition, position by position and feature by feature, in float64. */
function defined(params: Record<string, Record<string, NDArray>>, x: readonly number[][], width: number): number[][] {
  const [kernel, offset] = [params.convolution!.weight!.toNumbers(), params.convolution!.bias!.toNumbers()];
  const [matrix, bias] = [params.projection!.weight!.toNumbers(), params.projection!.bias!.toNumbers()];
  return x.map((row, t) =>
    row.map((_, c) => {
      let [convolved, projected] = [offset[c]!, bias[c]!];
      for (let back = 0; back < width && back <= t; back++)
        convolved += kernel[(width - 1 - back) * modelWidth + c]! * x[t - back]![c]!;
      row.forEach((value, from) => {
        projected += value * matrix[from * modelWidth + c]!;
      });
      return projected * convolved;
    }),
  );
}

describe.each([2, 3, 4, 9])("width %i", (width) => {
  const mixer = shortConvolution({ modelWidth, width });
  const drawn = mixer.init(randomKey(5));
  const params = Object.fromEntries(
    Object.entries(drawn).map(([part, arrays]) => [
      part,
      Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, louder(array as NDArray, part + name)])),
    ]),
  );

  test.each([1, 2, 13])("%i positions are as defined", async (length) => {
    const x = inputs(length, 2, 2);
    const run = (params: ShortConvolutionParams, x: Tensor) => {
      const view = makeView({ pattern: causal, queries: length, keys: length });
      return mixer.apply(params, { x, view }, {}).y;
    };
    const found = rowsOf((await evaluate(run, device, params as never, x)) as unknown as NDArray);
    rowsOf(x).forEach((row, b) => {
      defined(params, row, width).forEach((expected, t) => {
        for (const [c, value] of expected.entries()) expect(found[b]![t]![c], `${b}, ${t}, ${c}`).toBeCloseTo(value, 4);
      });
    });
  });

  test("has the parameters of its formula", () => {
    expect(countParameters(drawn)).toBe(modelWidth ** 2 + modelWidth + width * modelWidth + modelWidth);
  });

  test("keeps W − 1 positions of each row while it decodes, however long the row", () => {
    expect(mixer.recurrent!.start(2, 1000)).toMatchObject({ shape: [2, width - 1, modelWidth] });
  });
});

test("a width without a position to look back to is refused", () => {
  expect(() => shortConvolution({ modelWidth, width: 1 })).toThrow(
    "short-convolution: width must be a whole number of at least 2, got 1",
  );
});
