import { type Concrete, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { axialTransformer } from "../../src/models/pictures/axial-transformer.ts";
import { writePictures } from "../../src/pictures/write-pictures.ts";
import { louderParams, natsOf } from "./picture-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const shape = { rows: 3, columns: 4, channels: 2, levels: 5 };
const sizes = { layers: 2, modelWidth: 16, heads: 2 };

test("each value is told from all that were written before it, in three dimensions", async () => {
  const model = axialTransformer({ ...sizes, shape });
  const params = louderParams(model as never);
  const picture = Array.from({ length: 24 }, (_, i) => (i * i + 3 * i) % 5);
  const changed = model.steps.map(([place]) => picture.with(place!, (picture[place!]! + 2) % 5));
  const [before, ...after] = await natsOf(model as never, params, device, [picture, ...changed]);
  after.forEach((nats, step) => {
    nats.forEach((value, at) => {
      const difference = Math.abs(value - before![at]!);
      if (at < step) expect(difference, `${step} changes ${at}`).toBeLessThan(1e-4);
      else expect(difference, `${step} does not reach ${at}`).toBeGreaterThan(1e-5);
    });
  });
});

test("looking at the rows above once in a row draws what looking at every pixel does", async () => {
  const model = axialTransformer({ ...sizes, shape });
  const params = louderParams(model as never) as Concrete<never>;
  const draw = (outerPer: "row" | "pixel") =>
    writePictures(
      { ...model, openWriter: (own, options) => model.openWriter(own as never, { ...options, outerPer }) },
      params,
      { device, count: 2, seed: 3 },
    );
  expect(await draw("row")).toEqual(await draw("pixel"));
});

test("branches begin as nothing, so that all levels begin as likely", async () => {
  const model = axialTransformer({ ...sizes, shape });
  const picture = Array.from({ length: 24 }, (_, i) => i % 5);
  const [nats] = await natsOf(model as never, model.init(randomKey(1)), device, [picture]);
  for (const value of nats!) expect(value).toBeCloseTo(Math.log(5), 5);
});

test("an odd number of layers is refused", () => {
  expect(() => axialTransformer({ ...sizes, layers: 3, shape })).toThrow(
    "axial-transformer: expected an even number of layers, got 3",
  );
});
