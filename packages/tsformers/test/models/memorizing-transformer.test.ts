import {
  type Concrete,
  evaluate,
  flatten,
  fromNumbers,
  isNdArray,
  isTensor,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { startSegments } from "../../src/depth/states.ts";
import type { DecoderParams } from "../../src/models/decoder.ts";
import {
  type MemorizingTransformerOptions,
  memorizingTransformer,
  memorizingTransformerEntry,
} from "../../src/models/decoders/memorizing-transformer.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { lossAndGradients } from "../../src/train/accumulate.ts";
import { expectSameTrees, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, H, F, N] = [11, 12, 3, 20, 4];
const sizes = { vocabularySize: V, layers: N, modelWidth: C, heads: H, ffnWidth: F, memoryLength: 4 };
const lookup = { entries: 16, neighbours: 3 };
const made = (more: Partial<MemorizingTransformerOptions> = {}) => memorizingTransformer({ ...sizes, lookup, ...more });

const pathsOf = (tree: unknown): string[] => flatten(tree, isNdArray).paths as string[];

test("beside the parameters of the model without a memory it has a scale and a gate per head, in the layer three quarters up", () => {
  const plain = memorizingTransformer(sizes).init(randomKey(0));
  const layer = 4 * C * C + (2 * C * F + F + C) + 4 * C;
  expect(sizeOf(plain)).toBe(V * C + 32 * H + N * layer + 2 * C);
  const own = made().init(randomKey(0));
  const added = pathsOf(own).filter((path) => !pathsOf(plain).includes(path));
  expect(added).toEqual(["blocks.2.mixer.scale", "blocks.2.mixer.gate"]);
  expect(sizeOf(own)).toBe(sizeOf(plain) + 2 * H);
  const { gate, scale } = (own.blocks[2] as unknown as { mixer: { gate: NDArray; scale: NDArray } }).mixer;
  expect([gate.toNumbers(), scale.toNumbers()]).toEqual([new Array(H).fill(0), new Array(H).fill(1)]);
});

test.each([
  [1, 0],
  [2, 1],
  [6, 4],
  [12, 8],
])("of %i layers, layer %i has the memory", (layers, layer) => {
  const { layers: traits } = made({ layers });
  expect(traits.map(({ mixer }) => mixer.name).indexOf("knn-memory")).toBe(layer);
  expect(traits.filter(({ mixer }) => mixer.name === "knn-memory")).toHaveLength(1);
});

test("the first layer can have it, too", () => {
  expect(made({ lookup: { ...lookup, layer: 0 } }).layers[0]!.mixer.name).toBe("knn-memory");
});

test("in parts, a batch has the gradients and memories that it has as a whole", async () => {
  const [rows, length] = [4, 6];
  const model = made();
  const objective = tokenObjective(model, { segments: true });
  const params = mapTree(model.init(randomKey(1)), isNdArray, (array, path) =>
    array.shape.length < 2 ? array : normal(randomKey(path.length), array.shape, { deviation: 0.4 }),
  ) as Concrete<DecoderParams>;
  const tokensOf = (seed: number) =>
    fromNumbers(
      Array.from({ length: rows * length }, (_, i) => (i * i * 7 + seed * i + 3) % V),
      [rows, length],
      "int32",
    );
  const batchOf = (seed: number, fresh: readonly number[]) => ({
    inputs: tokensOf(seed),
    targets: tokensOf(seed + 1),
    weights: fromNumbers(
      Array.from({ length: rows * length }, (_, i) => (i % 5 === 0 || i > 15 ? 0 : 1)),
      [rows, length],
    ),
    fresh: fromNumbers([...fresh], [rows]),
  });
  const run = (parts: number, batch: object, memories: unknown) =>
    evaluate(
      ((params: DecoderParams, batch: never, memories: readonly unknown[]) => {
        const out = lossAndGradients(objective.loss, parts, params, batch, {}, { memories });
        const gradients = mapTree(out.gradients, isTensor, (leaf) => mul(leaf, out.factor ?? 1));
        return { loss: out.loss, gradients, memories: out.memories };
      }) as never,
      device,
      params as never,
      batch as never,
      memories as never,
    ) as Promise<{ memories: unknown }>;
  const first = await run(1, batchOf(2, [1, 1, 1, 1]), startSegments(model.layers, rows)!);
  const second = batchOf(5, [0, 0, 1, 0]);
  const whole = await run(1, second, first.memories);
  for (const parts of [2, 4]) expectSameTrees(await run(parts, second, first.memories), whole);
});

describe("what does not fit is refused", () => {
  test.each([
    [{ lookup: { entries: 2 } }, "knn-memory: entries must be at least neighbours, got entries 2 and neighbours 32"],
    [{ memoryLength: 32 }, "knn-memory: entries must be at least memoryLength, got entries 16 and memoryLength 32"],
    [{ memoryLength: 0 }, "memorizing-transformer: memoryLength must be a whole number of at least 1, got 0"],
    [{ lookup: { ...lookup, layer: 4 } }, "memorizing-transformer: layer must be one of 0 … 3, got 4"],
    [{ lookup: { ...lookup, layer: 1.5 } }, "memorizing-transformer: layer must be one of 0 … 3, got 1.5"],
  ])("%j", (more, message) => {
    expect(() => made(more)).toThrow(message);
  });
});

test("by its settings, no entries are no memory", () => {
  const { vocabularySize, layers, modelWidth, heads } = sizes;
  const make = (entries: number) =>
    memorizingTransformerEntry.make({
      vocabularySize,
      layers,
      modelWidth,
      heads,
      memoryLength: 4,
      memoryEntries: entries,
    });
  const names = (entries: number) => make(entries).layers.map(({ mixer }) => mixer.name);
  expect(names(0)).not.toContain("knn-memory");
  expect(names(64)).toContain("knn-memory");
});
