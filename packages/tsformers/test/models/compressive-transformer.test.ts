import {
  add,
  constant,
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  mul,
  type NDArray,
  normal,
  randomKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { startSegments } from "../../src/depth/states.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { compressionLosses } from "../../src/memory/compression-losses.ts";
import { compressions } from "../../src/memory/compressions.ts";
import type { CompressiveState } from "../../src/memory/compressive-memory.ts";
import { type DecoderParams, decoder } from "../../src/models/decoder.ts";
import {
  type CompressiveTransformerOptions,
  compressiveTransformer,
  compressiveTransformerEntry,
  compressiveTransformerParts,
} from "../../src/models/decoders/compressive-transformer.ts";
import { rotary } from "../../src/position/rotary.ts";
import { expectSameTrees, loud, sizeOf } from "../numbers.ts";
import { batch, C, D, H, type Kind, layers, plain, type Tree, V } from "./compressive-plain.ts";
import { inSegments, memoryLaws, tokensBelow } from "./segment-cases.ts";

// Graphs are small: a second thread would cost more than it does.
const device = await openCpu({ threads: 1 });
afterAll(() => device.close());

const sizes = { vocabularySize: V, layers, modelWidth: C, heads: H, headWidth: D, ffnWidth: 20 };
const lengths = { memoryLength: 4, compressedLength: 3, compressionRate: 2 };
const learned: Kind = { compression: "convolution", loss: "attention-reconstruction" };

function optionsOf({ compression, loss }: Kind, more: Partial<CompressiveTransformerOptions> = {}) {
  return {
    ...sizes,
    ...lengths,
    compression: compressions[compression],
    ...(loss !== "none" && { compressionLoss: compressionLosses[loss] }),
    ...more,
  };
}

const paramsOf = (options: CompressiveTransformerOptions) => loud(compressiveTransformer(options).init(randomKey(1)));
const tokensOf = tokensBelow(V, batch);
const segmented = (options: CompressiveTransformerOptions, params: Tree, tokens: Tensor, segments: readonly number[]) =>
  inSegments<CompressiveState>(compressiveTransformer(options), params, tokens, segments);

const cases: readonly (readonly [string, Kind, readonly number[], Partial<CompressiveTransformerOptions>])[] = [
  ["convolution", learned, [4, 4, 4, 4], {}],
  ["convolution, segments of other lengths", learned, [5, 1, 6, 3], {}],
  ["convolution of everything that leaves", learned, [4, 4, 4], { compressionRate: 4, compressedLength: 2 }],
  ["convolution, auto-encoding", { compression: "convolution", loss: "auto-encoding" }, [5, 2, 4], {}],
  ["dilated convolutions", { compression: "dilated", loss: "attention-reconstruction" }, [6, 3, 4], {}],
  ["dilated convolutions, auto-encoding", { compression: "dilated", loss: "auto-encoding" }, [4, 4, 4], {}],
  ["mean pooling", { compression: "mean", loss: "none" }, [4, 3, 5], {}],
  ["max pooling", { compression: "max", loss: "none" }, [4, 3, 5], {}],
  ["most used", { compression: "most-used", loss: "none" }, [4, 4, 4, 4], {}],
  ["most used, segments of other lengths", { compression: "most-used", loss: "none" }, [7, 3, 2], {}],
];

describe.each(cases)("%s", (_, kind, segments, more) => {
  const options = optionsOf(kind, more);
  const params = paramsOf(options);
  const N = segments.reduce((a, b) => a + b, 0);
  const tokens = tokensOf(N);
  type Found = { logits: Tensor; losses: Tensor };
  const run = (read: (params: Tree, tokens: Tensor) => Found) => {
    const weights = normal(randomKey(9), [batch, N, V]);
    const total = (found: Found) => add(sum(mul(found.logits, constant(weights))), found.losses);
    const all = (params: Tree, tokens: Tensor) => ({
      ...read(params, tokens),
      gradients: grad((params: Tree) => total(read(params, tokens)))(params),
    });
    return evaluate(all, device, params as never, tokens as never);
  };

  test("segment by segment is the definition, gradients included; afterwards each layer remembers what it should", async () => {
    const ours = await run((params, tokens) => segmented(options, params, tokens, segments));
    const theirs = await run((params, tokens) => plain(options, kind, params, tokens, segments));
    expectSameTrees(ours.logits, theirs.logits, 2e-5);
    expectSameTrees(ours.losses, theirs.losses, 2e-5);
    expectSameTrees(ours.gradients, theirs.gradients, 1e-4);
    const { memories } = ours as unknown as { memories: CompressiveState[] };
    const { memories: lists } = theirs as unknown as { memories: { mem: NDArray[]; cm: NDArray[] }[] };
    memories.forEach(({ memory, compressed }, layer) => {
      expectKept(memory as never, lists[layer]!.mem);
      expectKept(compressed as never, lists[layer]!.cm);
    });
  });

  test("decoding is reading in segments as long as the memory", async () => {
    const M = options.memoryLength;
    const whole = new Array<number>(Math.floor(N / M)).fill(M);
    const rest = N % M === 0 ? [] : [N % M];
    const one = tokensOf(N, 1);
    const { logits } = await evaluate(
      (params: Tree, tokens: Tensor) => ({ logits: segmented(options, params, tokens, [...whole, ...rest]).logits }),
      device,
      params as never,
      one as never,
    );
    const expected = logits.toNumbers();
    const decoder = openDecoder(compressiveTransformer(options), params, { device, maxLength: N });
    for (const [t, token] of one.toNumbers().entries()) {
      const found = await decoder.read([token]);
      expectSameTrees(fromNumbers([...found], [V]), fromNumbers(expected.slice(t * V, (t + 1) * V), [V]));
    }
    await decoder.release();
  });
});

/** The newest slots hold the list, and those before it are not seen. */
function expectKept({ vectors, seen }: { vectors: NDArray; seen: NDArray }, list: readonly NDArray[]): void {
  const slots = vectors.shape[1]!;
  const empty = slots - list.length;
  const row = Array.from({ length: slots }, (_, slot) => (slot < empty ? 0 : 1));
  expect(seen.toNumbers()).toEqual([...row, ...row]);
  list.forEach((own, i) => {
    const found = [0, 1].flatMap((b) => {
      const at = (b * slots + empty + i) * C;
      return vectors.toNumbers().slice(at, at + C);
    });
    expectSameTrees(fromNumbers(found, [batch, 1, C]), own, 2e-5);
  });
}

describe("where gradients go", () => {
  test.each([
    ["convolution", "attention-reconstruction"],
    ["convolution", "auto-encoding"],
    ["dilated", "attention-reconstruction"],
    ["dilated", "auto-encoding"],
  ] as const)("%s, %s: each loss to its own parameters", async (compression, loss) => {
    const options = optionsOf({ compression, loss });
    const params = paramsOf(options);
    const both = (params: Tree, tokens: Tensor) => {
      const of = (pick: "logits" | "losses") =>
        grad((params: Tree) => {
          const found = segmented(options, params, tokens, [4, 4, 4, 4])[pick];
          return sum(mul(found, found));
        })(params);
      return { model: of("logits"), compression: of("losses") };
    };
    const found = await evaluate(both, device, params as never, tokensOf(16) as never);
    for (const [name, tree] of Object.entries(found)) {
      const { leaves, paths } = flatten(tree, isNdArray);
      paths.forEach((path, i) => {
        const isOwn = /mixer\.(compression|loss)/.test(path) === (name === "compression");
        const moved = leaves[i]!.toNumbers().some((x) => x !== 0);
        expect(moved, `${path} by the loss of the ${name}`).toBe(isOwn);
      });
    }
  });
});

describe("how far it sees", () => {
  const range = lengths.memoryLength + lengths.compressionRate * lengths.compressedLength;

  // The range is a multiple of the segment: what a layer compressed was read by the one below at the beginning of a segment.
  test.each([1, 2])("%i layers see N·(n_m + c·n_cm) positions before the segment", async (layers) => {
    const T = 2;
    const far = layers * range;
    const options = optionsOf({ compression: "mean", loss: "none" }, { layers });
    const params = paramsOf(options);
    const segments = new Array<number>(far / T + 2).fill(T);
    const last = segments.length * T - T;
    const tokens = tokensOf(segments.length * T, 1).toNumbers();
    const read = async (tokens: readonly number[]) => {
      const { logits } = await evaluate(
        (params: Tree, tokens: Tensor) => ({ logits: segmented(options, params, tokens, segments).logits }),
        device,
        params as never,
        fromNumbers([...tokens], [1, tokens.length], "int32") as never,
      );
      return logits.toNumbers().slice(last * V);
    };
    const changed = (at: number) => read(tokens.with(at, (tokens[at]! + 4) % V));
    const before = await read(tokens);
    expect(await changed(last - far)).not.toEqual(before);
    expect(await changed(last - far - 1)).toEqual(before);
  });
});

describe.each(Object.keys(compressions) as Kind["compression"][])("memories, %s", (compression) => {
  const options = optionsOf({ compression, loss: "none" });
  memoryLaws(compressiveTransformer(options), paramsOf(options), device);
});

test("it has as many parameters as its parts have", () => {
  const count = (kind: Kind) => sizeOf(compressiveTransformer(optionsOf(kind)).init(randomKey(0)));
  const inner = H * D;
  // Four projections and W_R, a network with biases, two norms; a table and a bias; u and v.
  const layer = 4 * C * inner + C * inner + (2 * C * 20 + 20 + C) + 4 * C;
  const transformerXl = V * C + V + layers * layer + 2 * inner;
  const strided = 2 * C * C + C;
  expect(count({ compression: "mean", loss: "none" })).toBe(transformerXl);
  expect(count(learned)).toBe(transformerXl + layers * strided);
  expect(count({ compression: "convolution", loss: "auto-encoding" })).toBe(
    transformerXl + layers * (strided + C * 2 * C + 2 * C),
  );
  expect(count({ compression: "dilated", loss: "attention-reconstruction" })).toBe(
    transformerXl + layers * (strided + 2 * (3 * C * C + C)),
  );
});

describe("what does not fit is refused", () => {
  test("rotary positions, with memories and in decoding", async () => {
    const parts = compressiveTransformerParts(optionsOf(learned));
    const { scores: _, ...rest } = parts;
    const model = decoder({ ...rest, rotation: rotary(4) });
    const params = model.init(randomKey(0));
    const read = (params: DecoderParams, tokens: Tensor, layers: readonly unknown[]) =>
      model.apply(params, { tokens, segment: { layers } }, evaluation).logits;
    const memories = startSegments(model.layers, batch)!;
    const refusal = "compressive memory: cannot take rotated queries and keys (rotary positions): a compressed vector";
    await expect(
      evaluate(read as never, device, params as never, tokensOf(3) as never, memories as never),
    ).rejects.toThrow(refusal);
    await expect(openDecoder(model, params, { device, maxLength: 4 }).read([1])).rejects.toThrow(refusal);
  });

  test.each([
    [
      { memoryLength: 6 },
      "memoryLength must be a multiple of compressionRate, got memoryLength 6 and compressionRate 4",
    ],
    [
      { compression: "mean", compressionLoss: "auto-encoding" },
      "mean pooling has no parameters that a loss could train; leave compressionLoss away",
    ],
    [
      { compression: "most-used", compressionLoss: "attention-reconstruction" },
      "most used has no parameters that a loss could train; leave compressionLoss away",
    ],
    [{ compression: "convoluton" }, "compression"],
    [{ compressedLength: 0 }, "compressedLength"],
    [{ compressionRate: 1.5 }, "compressionRate"],
  ])("%j", (more, message) => {
    const { headWidth: _, ...rest } = sizes;
    expect(() => compressiveTransformerEntry.make({ ...rest, ...more } as never)).toThrow(message);
  });
});
