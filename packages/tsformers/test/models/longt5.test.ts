import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  add,
  compile,
  concat,
  constant,
  type Device,
  fromNumbers,
  gather,
  isNdArray,
  mapTree,
  matmul,
  mul,
  type NDArray,
  normal,
  randomKey,
  readTree,
  reshape,
  softmax,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import * as ort from "onnxruntime-node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import { type TransientGlobalParams, transientGlobal } from "../../src/attention/transient-global/transient-global.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { longT5 } from "../../src/models/encoder-decoders/longt5.ts";
import { normalInitial } from "../../src/nn/initial.ts";
import { rmsNorm } from "../../src/nn/norm.ts";
import { bidirectionalBuckets, t5Bias } from "../../src/position/t5-bias.ts";
import { exportModelOnnx } from "../../src/run/export-model.ts";
import type { OpenedModel } from "../../src/run/open-model.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSame, noisy } from "../attention/outputs-and-gradients.ts";

const device: Device = await openCpu();
afterAll(() => device.close());

describe("transient-global attention", () => {
  const [B, T, C, H, radius, block] = [2, 14, 8, 2, 2, 3];
  const D = C / H;
  const distances = { buckets: 6, maxDistance: 5 };
  const bucketOf = bidirectionalBuckets(distances);
  const sizes = { modelWidth: C, heads: H, scale: 1, bias: false, initial: normalInitial(0.4) };
  const mixer = transientGlobal({ ...sizes, radius, block, norm: rmsNorm(), distances, layer: 0 });
  const scheme = t5Bias(H, bucketOf, distances);
  type Params = { own: TransientGlobalParams; near: { weight: Tensor } };

  /** The definition for rows whose first `real[b]` positions are tokens, position by position. */
  function plain({ own, near }: Params, x: Tensor, real: readonly number[]): Tensor {
    const ofHeads = (y: Tensor, w: Tensor) => {
      const z = matmul(y, w);
      return transpose(reshape(z, [1, z.shape[1]!, H, D]), [0, 2, 1, 3]);
    };
    const rows = real.map((length, b) => {
      const row = gather(x, constant(fromNumbers([b], [1], "int32")), 0);
      const whole = Math.floor(length / block);
      const blockOf = (t: number) => Math.min(Math.floor(t / block), whole - 1);
      const table = (rows: number, columns: number, of: (i: number, j: number) => number, int = false) =>
        constant(
          fromNumbers(
            Array.from({ length: rows * columns }, (_, i) => of(Math.floor(i / columns), i % columns)),
            [rows, columns],
            int ? "int32" : "float32",
          ),
        );
      const sums = matmul(
        table(whole, T, (g, t) => Number(t < length && blockOf(t) === g)),
        row,
      );
      const globals = rmsNorm()(C).apply(own.globalNorm, sums);
      const all = concat([globals, row], 1);
      const biasOf = (weight: Tensor, ids: Tensor) => transpose(gather(weight, ids), [2, 0, 1]);
      const far = biasOf(
        own.globalBias!.weight,
        table(T, whole, (t, g) => bucketOf(g - blockOf(t)), true),
      );
      const close = biasOf(
        near.weight,
        table(T, T, (t, s) => bucketOf(s - t), true),
      );
      const hidden = table(T, whole + T, (t, j) => {
        const s = j - whole;
        return j < whole || (Math.abs(s - t) <= radius && s < length) ? 0 : -1e30;
      });
      const [q, k, v] = [
        ofHeads(row, own.query.weight),
        ofHeads(all, own.key.weight),
        ofHeads(all, own.value.weight),
      ] as const;
      const logits = add(add(matmul(q, k, { transposeB: true }), concat([far, close], 2)), hidden);
      const mixed = reshape(transpose(matmul(softmax(logits), v), [0, 2, 1, 3]), [1, T, C]);
      return matmul(mixed, own.out.weight);
    });
    return concat(rows, 0);
  }

  test.each([
    ["whole rows", [14, 14]],
    ["padding, in the middle of a block and at its end", [8, 12]],
  ])("is what the definition says, outputs and gradients: %s", async (_, real) => {
    const isReal = real.flatMap((length) => Array.from({ length: T }, (_, t) => Number(t < length)));
    const mask = () => constant(fromNumbers(isReal, [B, T], "int32"));
    const padded = real.some((length) => length < T);
    // Nothing is asked of padding.
    const read = (y: Tensor) => (padded ? mul(y, constant(fromNumbers(isReal, [B, T, 1]))) : y);
    const fast = ({ own, near }: Params, x: Tensor) => {
      const scores = (where: Parameters<typeof scheme.prepare>[1]) => scheme.prepare(near, where);
      const sight = { pattern: fullPattern, queries: T, keys: T, scores, ...(padded && { keyMask: mask() }) };
      return read(mixer.apply(own, { x, view: makeView(sight) }, evaluation).y);
    };
    const params = noisy({ own: mixer.init(randomKey(1)), near: scheme.init(randomKey(2)) });
    const slow = (params: Params, x: Tensor) => read(plain(params, x, real));
    await expectSame<Params>(fast, slow, params as never, normal(randomKey(3), [B, T, C]), device);
  });
});

describe("LongT5", () => {
  const vocabularySize = 13;
  const sizes = { vocabularySize, layers: 2, modelWidth: 12, heads: 2, radius: 2, block: 3 };
  const target = [0, 4, 2, 7];

  test.each(["transient-global", "local"] as const)(
    "%s: exported at some length, it reads shorter sources as the model itself does",
    async (attention) => {
      const model = longT5({ ...sizes, attention });
      const params = mapTree(model.init(randomKey(5)), isNdArray, louder);
      const source = Array.from({ length: 14 }, (_, t) => 1 + ((5 * t * t + t) % 12));
      const own = compile(
        (params: never, tokens: Tensor, source: Tensor) => {
          const encoded = model.encode(params, { tokens: source }, evaluation);
          return model.decode(params, { tokens, encoded }, evaluation).logits;
        },
        { device },
      ) as unknown as (...args: unknown[]) => Promise<unknown>;
      const ints = (row: readonly number[]) => fromNumbers([...row], [1, row.length], "int32");
      const expected = (
        (await readTree((await own(params, ints(target), ints(source))) as never)) as unknown as NDArray
      ).toNumbers();
      const folder = mkdtempSync(join(tmpdir(), "longt5-"));
      const run = { config: { model: { kind: "longt5" }, task: { kind: "copy" } }, task: {}, step: 0 };
      const shared = { directory: folder, run, params, length: 14, endTokens: [], startToken: 0, notes: [] };
      const opened = { ...shared, model: { ...model, category: "encoder-decoder" } } as unknown as OpenedModel;
      for (const length of [14, 17, 24]) {
        const path = join(folder, `${length}.onnx`);
        await exportModelOnnx(opened, path, { length });
        const session = await ort.InferenceSession.create(path);
        const filled = (row: readonly number[]) =>
          new ort.Tensor(
            "int32",
            Int32Array.from({ length }, (_, t) => row[t] ?? 0),
            [1, length],
          );
        const { logits } = await session.run({
          tokens: filled(target),
          source: filled(source),
          source_mask: filled(source.map(() => 1)),
        });
        const found = Array.from(logits!.data as Float32Array).slice(0, expected.length);
        await session.release();
        found.forEach((value, i) => void expect(value, `${length}`).toBeCloseTo(expected[i]!, 4));
      }
      expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.1);
    },
  );

  test("sizes that cannot be are refused", () => {
    expect(() => longT5({ ...sizes, block: 0 })).toThrow("longt5: block must be a whole number of at least 1, got 0");
    expect(() => longT5({ ...sizes, radius: -1 })).toThrow("radius must be a whole number of at least 0, got -1");
  });
});
