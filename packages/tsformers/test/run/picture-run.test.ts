import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { decodeModel } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { createTask } from "../../src/catalogue/tasks.ts";
import { encodePng } from "../../src/io/png.ts";
import { sheetOf } from "../../src/pictures/sheet.ts";
import { writePictures } from "../../src/pictures/write-pictures.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { evaluateAtLengths } from "../../src/run/evaluate-run.ts";
import { exportModelOnnx, exportModelSafetensors } from "../../src/run/export-model.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { trainRun } from "../../src/run/train-run.ts";
import { runCli } from "../cli/run-cli.ts";
import { numbersByPath } from "../numbers.ts";

const device = await openCpu();
const home = mkdtempSync(join(tmpdir(), "tsformers-pictures-"));
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

/** Forty pictures of 4 × 4 in colour and opacity, each of one colour. */
const data = join(home, "tiles");
mkdirSync(data);
writeFileSync(
  join(data, "images_u8.bin"),
  Uint8Array.from({ length: 40 * 64 }, (_, at) =>
    at % 4 === 3 ? 255 : (Math.floor(at / 64) * 37 + (at % 4) * 90) % 256,
  ),
);
writeFileSync(
  join(data, "labels_u8.bin"),
  Uint8Array.from({ length: 40 }, (_, i) => i % 2),
);
writeFileSync(join(data, "meta.json"), JSON.stringify({ n: 40, shape: [4, 4, 4] }));

const config = (model: object, more: object = {}) =>
  parseRunConfig(
    {
      model: { layers: 2, modelWidth: 8, heads: 2, ...model } as never,
      task: { kind: "pictures", data, levels: 4 },
      batchSize: 4,
      steps: 3,
      ...more,
    },
    "test",
  );

describe.each(["image-transformer", "axial-transformer", "gpt", "sparse-transformer"])("%s", (kind) => {
  const directory = join(home, kind);

  test("is trained, goes on, is measured, draws, and is exported", async () => {
    const { run, result } = await trainRun(config({ kind }), { directory, device });
    expect([run.kind, run.config.length, result.step]).toEqual(["pictures", 48, 3]);
    const again = await trainRun(config({ kind }), { directory, device });
    const opened = await openModel(directory);
    expect(numbersByPath(again.result.params)).toEqual(numbersByPath(opened.params));
    const [score] = await evaluateAtLengths(run, result.params as never, device, {
      split: "test",
      lengths: [48],
      batchTokens: 96,
    });
    const { loss, totals } = score as { loss: number; totals: { rows: number; tokens: number } };
    expect([totals.rows, totals.tokens]).toEqual([4, 4 * 48]);
    expect(loss).toBeGreaterThan(0.5);
    if (opened.model.category !== "picture") throw new Error("expected a model of pictures");
    const drawn = await writePictures(opened.model, opened.params as never, { device, count: 2, seed: 1 });
    expect([drawn.length, Math.min(...drawn) >= 0, Math.max(...drawn) < 4]).toEqual([96, true, true]);
    expect(() => generatorOf(opened, device)).toThrow("this model draws pictures");
    expect(await exportModelSafetensors(opened, join(home, `${kind}-out`))).toBe("tsformers");
    const { model, params } = await openModel(join(home, `${kind}-out`));
    expect(await writePictures(model as never, params as never, { device, count: 2, seed: 1 })).toEqual(drawn);
    await exportModelOnnx(opened, join(home, "model.onnx"), { batchSize: 2 });
    const { graph } = decodeModel(readFileSync(join(home, "model.onnx")));
    expect(graph.inputs.map(({ name, shape }) => [name, shape])).toEqual([["pictures", [2, 4, 4, 3]]]);
    const steps = opened.model.steps.length;
    expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([["nats", [2, steps]]]);
  });
});

describe("a model of larger pictures", () => {
  const directory = join(home, "larger");
  const model = { kind: "image-transformer", inputSize: 2, encoderLayers: 1 };
  /** What the command writes, and says. */
  const generate = (...flags: string[]) =>
    runCli(["generate", directory, "--output", join(home, "large.png"), ...flags]);
  const written = () => decodePng(readFileSync(join(home, "large.png")));

  test("is trained, goes on, draws from small pictures, and is exported", async () => {
    const { run, result } = await trainRun(config(model), { directory, device });
    expect([run.kind, result.step]).toEqual(["pictures", 3]);
    const opened = await openModel(directory);
    if (opened.model.category !== "picture") throw new Error("expected a model of pictures");
    expect(opened.model.input).toEqual({ rows: 2, columns: 2, channels: 3, levels: 4 });
    const options = { device, count: 2, seed: 1 };
    const small = Array.from({ length: 24 }, (_, i) => i % 4);
    const drawn = await writePictures(opened.model, opened.params as never, { ...options, small });
    expect(drawn).toHaveLength(96);
    expect(await exportModelSafetensors(opened, join(home, "larger-out"))).toBe("tsformers");
    const again = await openModel(join(home, "larger-out"));
    expect(await writePictures(again.model as never, again.params as never, { ...options, small })).toEqual(drawn);
    await exportModelOnnx(opened, join(home, "larger.onnx"));
    const wrong = (small?: number[]) =>
      writePictures(opened.model as never, opened.params as never, { ...options, ...(small && { small }) });
    await expect(wrong()).rejects.toThrow("expected 24 values in small, 2 pictures of 2 × 2 × 3, got none");
    await expect(wrong(small.slice(1))).rejects.toThrow("got 23");
    await expect(wrong(small.with(3, 4))).rejects.toThrow("small: expected values of 0 … 3, got 4");
  });

  test("the command draws from test pictures, and from a PNG", async () => {
    const ofTest = await generate("--pictures", "2");
    expect(ofTest.out).toContain("2 pictures; what was given, what was drawn, and what it was");
    expect([written().width, written().height]).toEqual([9, 14]);
    const small = join(home, "small.png");
    writeFileSync(small, encodePng(new Uint8Array(4 * 4 * 3).fill(200), { rows: 4, columns: 4, channels: 3 }));
    const ofFile = await generate("--input", small);
    expect([ofFile.code, ofFile.out]).toEqual([0, `${join(home, "large.png")}: one picture\n`]);
    expect([written().width, written().height]).toEqual([4, 4]);
  });

  test("what does not fit is refused in a line", async () => {
    const narrow = join(home, "narrow.png");
    writeFileSync(narrow, encodePng(new Uint8Array(6), { rows: 2, columns: 1, channels: 3 }));
    const text = join(home, "text.png");
    writeFileSync(text, "no picture");
    for (const [flags, problem] of [
      [["--complete"], "this model draws larger pictures from small ones"],
      [["--input", narrow], "expected a square of at least 2 × 2 pixels, got 2 × 1"],
      [["--input", text], "is no PNG file"],
      [["--input", join(home, "nowhere.png")], "no such file"],
    ] as const) {
      const { code, log } = await generate(...flags);
      expect(log).toContain(problem);
      expect(code).not.toBe(0);
    }
    const plain = await runCli(["generate", join(home, "image-transformer"), "--output", "x.png", "--input", narrow]);
    expect(plain.log).toContain("--input would do nothing: this model draws from nothing");
    const refused = (more: object) =>
      trainRun(config({ ...model, ...more }), { directory: join(home, "none"), device });
    await expect(refused({ inputSize: 3 })).rejects.toThrow("an input size that divides pictures of 4 × 4, got 3");
    await expect(refused({ inputSize: undefined })).rejects.toThrow("encoderLayers do nothing without inputSize");
  });
});

test("what does not fit is refused in a line", async () => {
  const refused = async (model: object, more: object) =>
    trainRun(config(model, more), { directory: join(home, "none"), device });
  const kind = "image-transformer";
  await expect(refused({ kind }, { length: 12 })).rejects.toThrow("4 × 4 × 3 are 48 values, the length is 12");
  await expect(refused({ kind }, { task: { kind: "copy" }, length: 48 })).rejects.toThrow(
    /has nothing for image-transformer/,
  );
  await expect(refused({ kind: "bert" }, {})).rejects.toThrow(/task pictures has nothing for bert/);
  await expect(refused({ kind }, { objective: { kind: "next" } })).rejects.toThrow('cannot be trained for "next"');
  await expect(refused({ kind }, { labelSmoothing: 0.1 })).rejects.toThrow(
    "labelSmoothing: pictures are scored as they are",
  );
  await expect(createTask("pictures", { data, size: 5 })).rejects.toThrow(
    "4 × 4 can be made smaller, not to a size of 5",
  );
  await expect(createTask("pictures", {})).rejects.toThrow("pictures: data is missing");
});

test("colours are read as they are, before black where they are transparent, or as grey", async () => {
  const folder = join(home, "two");
  mkdirSync(folder);
  const pixel = [200, 100, 50, 51];
  writeFileSync(join(folder, "images_u8.bin"), Uint8Array.from(Array.from({ length: 30 }, () => pixel).flat()));
  writeFileSync(join(folder, "labels_u8.bin"), new Uint8Array(30));
  writeFileSync(join(folder, "meta.json"), JSON.stringify({ n: 30, shape: [1, 1, 4], classes: ["a", "b"] }));
  const valuesOf = async (settings: object) => {
    const { views } = await createTask("pictures", { data: folder, ...settings });
    return views.pictures!.trainBatch(1, 1).pictures.toNumbers();
  };
  expect(await valuesOf({})).toEqual([40, 20, 10]);
  expect(await valuesOf({ grey: true })).toEqual([
    Math.round(0.2 * Math.round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)),
  ]);
});

/** The values of a PNG of 8 bits without filters. */
function decodePng(bytes: Buffer): { width: number; height: number; values: number[] } {
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  const channels = bytes[25] === 2 ? 3 : 1;
  const at = bytes.indexOf("IDAT");
  const raw = inflateSync(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at - 4)));
  const line = 1 + width * channels;
  return { width, height, values: [...raw].filter((_, i) => i % line > 0) };
}

describe("PNG", () => {
  test("a sheet has pictures side by side, with white between them, and is read back", () => {
    const shape = { rows: 1, columns: 2, channels: 3, levels: 256 };
    const sheet = sheetOf([1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26], shape, 2);
    const { width, height, values } = decodePng(Buffer.from(encodePng(sheet.values, sheet)));
    expect([width, height]).toEqual([5, 3]);
    const white = [255, 255, 255];
    expect(values).toEqual(
      [
        [1, 2, 3, 4, 5, 6, ...white, 11, 12, 13, 14, 15, 16],
        [...white, ...white, ...white, ...white, ...white],
        [21, 22, 23, 24, 25, 26, ...white, ...white, ...white],
      ].flat(),
    );
  });

  test("other channels and other sizes are refused", () => {
    expect(() => encodePng(new Uint8Array(4), { rows: 2, columns: 1, channels: 2 })).toThrow("1 or 3 channels");
    expect(() => encodePng(new Uint8Array(4), { rows: 2, columns: 1, channels: 1 })).toThrow("2 × 1 × 1 and 4");
  });

  test("the command draws and completes", async () => {
    const directory = join(home, "image-transformer");
    const output = join(home, "drawn.png");
    const drawn = await runCli(["generate", directory, "--output", output, "--pictures", "4", "--seed", "3"]);
    expect([drawn.code, drawn.out]).toEqual([0, `${output}: 4 pictures\n`]);
    expect(decodePng(readFileSync(output))).toMatchObject({ width: 9, height: 9 });
    const completed = await runCli([
      "generate",
      directory,
      "--output",
      output,
      "--complete",
      "--pictures",
      "2",
      "--json",
    ]);
    expect(JSON.parse(completed.out)).toMatchObject({ output, pictures: 2 });
    const { width, height, values } = decodePng(readFileSync(output));
    expect([width, height]).toEqual([9, 14]);
    // The upper half of what was drawn is that of what it was.
    const line = (row: number) => values.slice(row * 27, (row + 1) * 27);
    for (const row of [0, 1]) expect(line(5 + row)).toEqual(line(10 + row));
    const wrong = await runCli(["generate", directory, "--output", output, "--prompt", "a"]);
    expect([wrong.code, wrong.log.trim()]).toEqual([2, "error: --prompt would do nothing: this model draws pictures"]);
    const missing = await runCli(["generate", directory]);
    expect(missing.log).toContain("a model of pictures writes a PNG: give the file, with --output pictures.png");
  });
});
