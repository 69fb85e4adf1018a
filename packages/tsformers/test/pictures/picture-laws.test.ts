import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { dimensionsOf } from "../../src/pictures/picture-model.ts";
import { writePictures } from "../../src/pictures/write-pictures.ts";
import { louderParams, natsOf, pictureCases } from "./picture-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

/** Every picture of so many values. */
function allPictures(values: number, levels: number): number[][] {
  return Array.from({ length: levels ** values }, (_, n) =>
    Array.from({ length: values }, (_, i) => Math.floor(n / levels ** i) % levels),
  );
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe.each(pictureCases)("%s", (_, make) => {
  test.each([
    ["2 × 2 in grey, 3 levels", 4, 3],
    ["a pixel in colours, 5 levels", 3, 5],
  ])("the probabilities of all pictures sum to 1: %s", async (_, values, levels) => {
    const model = make(values, levels);
    const all = allPictures(values, levels);
    const probabilities = (await natsOf(model, louderParams(model), device, all)).map((nats) => Math.exp(-sum(nats)));
    expect(Math.abs(sum(probabilities) - 1)).toBeLessThan(1e-5);
    expect(Math.max(...probabilities)).toBeGreaterThan(2 / all.length);
  });

  test("each value is written once, and tells nothing to the steps before it", async () => {
    const model = make(4 * 4 * 3, 7);
    const dimensions = dimensionsOf(model.shape);
    expect([...model.steps.flat()].sort((a, b) => a - b)).toEqual(Array.from({ length: dimensions }, (_, i) => i));
    const params = louderParams(model);
    const picture = Array.from({ length: dimensions }, (_, i) => (i * i * 5 + 3 * i) % 7);
    const changed = model.steps.map(([place]) => picture.with(place!, (picture[place!]! + 3) % 7));
    const [before, ...after] = await natsOf(model, params, device, [picture, ...changed]);
    const last = model.steps.length - 1;
    let reaching = 0;
    after.forEach((nats, step) => {
      for (let s = 0; s < step; s++) expect(nats[s], `step ${s}, changed at ${step}`).toBeCloseTo(before![s]!, 4);
      expect(Math.abs(nats[step]! - before![step]!), `step ${step}`).toBeGreaterThan(1e-4);
      if (step < last && Math.abs(nats[step + 1]! - before![step + 1]!) > 1e-5) reaching++;
    });
    expect(reaching, "steps that the next one looks at").toBeGreaterThan(last / 2);
  });

  test("pictures are drawn as often as they are likely", async () => {
    const [values, levels, count] = [4, 3, 4000];
    const model = make(values, levels);
    const params = louderParams(model);
    const all = allPictures(values, levels);
    const expected = (await natsOf(model, params, device, all)).map((nats) => Math.exp(-sum(nats)));
    const drawn = await writePictures(model, params, { device, count, seed: 4 });
    const found = new Array<number>(all.length).fill(0);
    for (let b = 0; b < count; b++) {
      const index = Array.from(drawn.subarray(b * values, (b + 1) * values)).reduce(
        (n, v, i) => n + v * levels ** i,
        0,
      );
      found[index]! += 1 / count;
    }
    // 81 pictures drawn 4,000 times: half the sum of deviations is about 0.05 by chance.
    expect(sum(found.map((share, i) => Math.abs(share - expected[i]!))) / 2).toBeLessThan(0.08);
  });

  test("nearly without noise, each step writes a class that is likeliest", async () => {
    const model = make(4 * 4 * 3, 7);
    // Discretised logistics then write the mean of a component, which need not be likeliest.
    if (model.steps[0]!.length > 1) return;
    const params = louderParams(model);
    const drawn = [...(await writePictures(model, params, { device, count: 1, temperature: 1e-3, seed: 2 }))];
    const others = [1, 2, 3, 4, 5, 6].flatMap((by) =>
      model.steps.map(([place]) => drawn.with(place!, (drawn[place!]! + by) % 7)),
    );
    const [own, ...changed] = await natsOf(model, params, device, [drawn, ...others]);
    const count = model.steps.length;
    changed.forEach((nats, i) => {
      expect(own![i % count]).toBeLessThan(nats[i % count]! + 1e-2);
    });
  });

  test("what is given is kept, the rest is drawn from the seed", async () => {
    const model = make(4 * 4 * 3, 7);
    const params = louderParams(model);
    const isKept = Array.from({ length: 48 }, (_, place) => place < 24);
    const pictures = Array.from({ length: 2 * 48 }, (_, i) => i % 7);
    const options = { device, count: 2, given: { pictures, isKept } };
    const [a, b, c] = [
      await writePictures(model, params, { ...options, seed: 1 }),
      await writePictures(model, params, { ...options, seed: 1 }),
      await writePictures(model, params, { ...options, seed: 2 }),
    ];
    for (const start of [0, 48]) expect([...a!.subarray(start, start + 24)]).toEqual(pictures.slice(start, start + 24));
    expect(b).toEqual(a);
    expect(c).not.toEqual(a);
  });
});

test("pictures that do not fit are refused in a line", async () => {
  const [, make] = pictureCases[0]!;
  const model = make(4, 3);
  const params = louderParams(model);
  await expect(natsOf({ ...model, shape: { ...model.shape, rows: 1 } }, params, device, [[0, 1]])).rejects.toThrow(
    "image-transformer: expected pictures int32 [B, 2, 2, 1], got int32 [1, 1, 2, 1]",
  );
  const options = { device, count: 1 };
  await expect(writePictures(model, params, { ...options, temperature: 0 })).rejects.toThrow(
    "a temperature above 0, got 0",
  );
  await expect(writePictures(model, params, { ...options, count: 0 })).rejects.toThrow("count");
  const given = { pictures: [0, 1, 2, 3], isKept: [true, true, true, true] };
  await expect(writePictures(model, params, { ...options, given })).rejects.toThrow("values of 0 … 2, got 3");
  await expect(writePictures(model, params, { ...options, given: { ...given, pictures: [0] } })).rejects.toThrow(
    "1 pictures of 4 values need as many",
  );
});
