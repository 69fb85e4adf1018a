import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { FileError } from "../../../src/io/file-error.ts";
import { downscaled } from "../../../src/tasks/arena/downscale.ts";
import { pixelsTask } from "../../../src/tasks/arena/pixels.ts";
import { readImages } from "../../../src/tasks/arena/read-images.ts";
import { writeTar } from "./write-tar.ts";

const shared = fileURLToPath(new URL("../../../../../../shared/data", import.meta.url));
const here = existsSync(join(shared, "mnist10k")) && existsSync(join(shared, "crawl_tiles32"));
if (!here) console.warn("pixels.test.ts skipped in part: ../shared/data/mnist10k or crawl_tiles32 is not here");

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-pixels-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Files = Readonly<Record<string, Uint8Array>>;
function folder(name: string, files: Files): string {
  mkdirSync(join(home, name), { recursive: true });
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(home, name, file), bytes);
  return join(home, name);
}

/** Bytes that look random and are always the same. */
const noise = (count: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, i) => (Math.imul(i + 1, 2_654_435_761) ^ Math.imul(seed, 97)) >>> 9));

const cifarBatch = (count: number, seed: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.concat([Buffer.of(i % 10), noise(3072, seed + i)])));
const cifar: Files = {
  "data_batch_1.bin": cifarBatch(10, 100),
  "data_batch_2.bin": cifarBatch(10, 200),
  "test_batch.bin": cifarBatch(7, 300),
  "batches.meta.txt": Buffer.from("airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"),
};

const idx = (extents: readonly number[], values: Uint8Array): Buffer => {
  const header = Buffer.alloc(4 + 4 * extents.length);
  header.writeUInt32BE(0x0800 + extents.length);
  for (const [axis, extent] of extents.entries()) header.writeUInt32BE(extent, 4 + 4 * axis);
  return Buffer.concat([header, values]);
};
const mnist: Files = {
  "train-images-idx3-ubyte": idx([20, 5, 5], noise(500, 1)),
  "train-labels-idx1-ubyte.gz": gzipSync(idx([20], Buffer.from(Array.from({ length: 20 }, (_, i) => i % 4)))),
  "t10k-images.idx3-ubyte.gz": gzipSync(idx([6, 5, 5], noise(150, 2))),
  "t10k-labels.idx1-ubyte": idx([6], Buffer.of(0, 1, 2, 3, 0, 1)),
};

const counts = (path: string): number[] => {
  const { splits } = readImages(path);
  return [splits.train.length, splits.valid.length, splits.test.length];
};

describe("pictures", () => {
  it("of CIFAR-10 are grey, in a folder and in an archive", () => {
    const path = folder("cifar", cifar);
    const { side, classNames, splits, identity } = readImages(path);
    expect([side, classNames[3], classNames.length]).toEqual([32, "cat", 10]);
    expect(counts(path)).toEqual([18, 2, 7]);
    const [records, test] = [cifar["test_batch.bin"]!, splits.test];
    for (let record = 0; record < 7; record++) {
      const start = record * 3073;
      const wanted = Array.from({ length: 1024 }, (_, i) => {
        const [red, green, blue] = [0, 1, 2].map((channel) => records[start + 1 + channel * 1024 + i]!);
        return Math.round(0.299 * red! + 0.587 * green! + 0.114 * blue!);
      });
      const found = test.find(({ label }) => label === records[start]);
      expect([...found!.pixels]).toEqual(wanted);
    }
    const packed = Object.fromEntries(
      Object.entries(cifar).map(([name, bytes]) => [`cifar-10-batches-bin/${name}`, bytes]),
    );
    writeFileSync(join(home, "cifar.tar.gz"), gzipSync(writeTar(packed)));
    expect(readImages(join(home, "cifar.tar.gz"))).toEqual(readImages(path));
    expect(readImages(folder("cifar2", { ...cifar, "test_batch.bin": cifarBatch(7, 301) })).identity).not.toBe(
      identity,
    );
  });

  it("of MNIST's files are as they are there", () => {
    const path = folder("mnist", mnist);
    const { side, classNames, splits } = readImages(path);
    expect([side, classNames]).toEqual([5, ["0", "1", "2", "3"]]);
    expect(counts(path)).toEqual([18, 2, 6]);
    const all = [...splits.train, ...splits.valid].map(({ pixels, label }) => `${label} ${[...pixels]}`);
    const wanted = Array.from({ length: 20 }, (_, i) => `${i % 4} ${[...noise(500, 1).subarray(i * 25, i * 25 + 25)]}`);
    expect(all.toSorted()).toEqual(wanted.toSorted());
  });

  it("in colour with opacity stand before black", () => {
    const path = folder("tiles", {
      "images_rgba_u8.bin.gz": gzipSync(Buffer.concat([Buffer.of(255, 255, 255, 128, 200, 100, 50, 0), noise(72, 3)])),
      "labels_u8.bin": Buffer.from(Array.from({ length: 20 }, (_, i) => i % 2)),
      "meta.json": Buffer.from(JSON.stringify({ n: 20, shape: [1, 1, 4], classes: ["a", "b"], more: 1 })),
    });
    const { splits, classNames } = readImages(path);
    expect(classNames).toEqual(["a", "b"]);
    const all = [...splits.train, ...splits.valid, ...splits.test].map(({ pixels }) => pixels[0]!);
    expect(all).toHaveLength(20);
    expect(all).toContain(128);
    expect(all).toContain(0);
  });

  it.each<[string, () => string, RegExp]>([
    ["nothing known", () => folder("none", { "a.txt": Buffer.from("a") }), /none: has no pictures in a known form/],
    ["a missing path", () => join(home, "nowhere"), /nowhere: no such file or folder/],
    [
      "half a record",
      () => folder("half", { ...cifar, "data_batch_2.bin": cifarBatch(2, 1).subarray(0, 5000) }),
      /data_batch_2\.bin: expected records of 3073 bytes, got 5000 bytes/,
    ],
    [
      "an idx file that is too short",
      () => folder("short", { ...mnist, "train-images-idx3-ubyte": idx([2 ** 31, 5, 5], noise(500, 1)) }),
      /expected 53687091216 bytes for 2147483648 × 5 × 5 values, got 516/,
    ],
    [
      "an idx file of other values",
      () => folder("floats", { ...mnist, "train-images-idx3-ubyte": Buffer.from([0, 0, 13, 3, 0, 0, 0, 0]) }),
      /is not an idx file of bytes with 3 axes/,
    ],
    [
      "labels of other pictures",
      () => folder("labels", { ...mnist, "train-labels-idx1-ubyte.gz": gzipSync(idx([3], Buffer.of(1, 2, 3))) }),
      /20 pictures in train-images-idx3-ubyte, 3 labels/,
    ],
    [
      "raw pictures that do not fit",
      () => folder("raw", { "images_u8.bin": noise(100, 1), "labels_u8.bin": Buffer.of(0, 1, 0) }),
      /3 labels need 3 pictures of 25 bytes, images_u8\.bin has 100 bytes/,
    ],
    [
      "a label without a class",
      () =>
        folder("classes", {
          "images_u8.bin": noise(40, 1),
          "labels_u8.bin": Buffer.from(Array.from({ length: 10 }, (_, i) => i)),
          "meta.json": Buffer.from(JSON.stringify({ n: 10, shape: [2, 2], classes: ["a", "b"] })),
        }),
      /expected labels from 0 to 1, got/,
    ],
    [
      "damaged meta.json",
      () =>
        folder("meta", { "images_u8.bin": noise(4, 1), "labels_u8.bin": Buffer.of(0), "meta.json": Buffer.from("{") }),
      /meta\.json: expected JSON with n/,
    ],
  ])("are refused: %s", (_, path, message) => {
    const at = path();
    expect(() => readImages(at)).toThrow(FileError);
    expect(() => readImages(at)).toThrow(message);
  });

  it.skipIf(!here)("of shared data are read", () => {
    const digits = readImages(join(shared, "mnist10k"));
    expect([digits.side, digits.classNames.length]).toEqual([28, 10]);
    expect(
      Object.values(digits.splits)
        .map(({ length }) => length)
        .toSorted(),
    ).toEqual([1000, 1000, 8000]);
    const tiles = readImages(join(shared, "crawl_tiles32"));
    expect([tiles.side, tiles.classNames]).toEqual([32, ["dngn", "effect", "item", "mon", "player"]]);
    expect(Object.values(tiles.splits).reduce((sum, { length }) => sum + length, 0)).toBe(3489);
  });
});

describe("downscaled", () => {
  it.each([
    [6, 3],
    [6, 4],
    [28, 10],
    [5, 1],
    [7, 7],
  ])("%i to %i: the mean of what each pixel covers", (side, size) => {
    const pixels = noise(side * side, 9);
    // On a grid that both sizes divide, each fine cell has the value of its pixel.
    const wanted = Array.from({ length: size * size }, (_, i) => {
      let sum = 0;
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          const [row, column] = [Math.floor(i / size) * side + y, (i % size) * side + x];
          sum += pixels[Math.floor(row / size) * side + Math.floor(column / size)]!;
        }
      }
      return Math.round(sum / side ** 2);
    });
    expect([...downscaled(pixels, side, size)]).toEqual(wanted);
  });
});

describe("pixels", () => {
  const images = (): ReturnType<typeof readImages> => readImages(folder("mnist", mnist));

  it("are tokens, one above their level", () => {
    const task = pixelsTask({ images: images(), levels: 4 });
    expect([task.vocabularySize, task.length, task.symbolOf!(0), task.symbolOf!(4)]).toEqual([5, 25, "pad", "3"]);
    const [batch] = task.views.labelled.evalBatches("test", { batchSize: 6, length: 27 });
    const tokens = batch!.inputs.toNumbers();
    images().splits.test.forEach(({ pixels, label }, row) => {
      expect(tokens.slice(row * 27, (row + 1) * 27)).toEqual([...[...pixels].map((p) => 1 + (p >> 6)), 0, 0]);
      expect(batch!.labels.toNumbers()[row]).toBe(label);
    });
  });

  it("are all predicted, from token 0 on; the loss in bits is that per dimension", () => {
    const task = pixelsTask({ images: images(), size: 2 });
    const [inputs, targets] = ["inputs", "targets"].map((name) =>
      task.views.next.trainBatch(3, 2)[name as "inputs"].toNumbers(),
    );
    expect(inputs).toEqual([0, ...targets!.slice(0, 3), 0, ...targets!.slice(4, 7)]);
    expect(task.views.next.trainBatch(3, 2).weights.toNumbers()).toEqual(new Array(8).fill(1));
    const totals = { lossSum: 8 * Math.log(256), tokens: 8, correct: 0, rows: 2, exactRows: 0 };
    expect(task.views.next.metrics!.map(({ name, value }) => [name, value(totals)])).toEqual([
      ["loss", Math.log(256)],
      ["bitsPerDimension", 8],
    ]);
    expect(task.metrics.map(({ name }) => name)).toEqual(["loss", "accuracy"]);
  });

  it("have a fingerprint of pictures, size and levels", async () => {
    const data = folder("mnist", mnist);
    const of = async (options: object): Promise<string> =>
      (await createTask("pixels", { data, ...options })).fingerprint;
    const found = await Promise.all([{}, { size: 4 }, { levels: 2 }, { seed: 1 }].map(of));
    expect(new Set(found).size).toBe(4);
    expect(await of({ length: 30 })).toBe(found[0]);
  });

  it("refuse what does not fit", async () => {
    expect(() => pixelsTask({ images: images(), size: 6 })).toThrow(/5 × 5 can be made smaller, not to a size of 6/);
    expect(() => pixelsTask({ images: images(), levels: 1 })).toThrow(/levels must be an integer from 2 to 256, got 1/);
    expect(() => pixelsTask({ images: images(), length: 24 }).views.labelled.trainBatch(0, 1)).toThrow(
      "pixels: a picture of 25 pixels does not fit a length of 24",
    );
    await expect(createTask("pixels")).rejects.toThrow(
      /^pixels: data is missing: expected the path of pictures, such as CIFAR-10 or MNIST/,
    );
  });
});
