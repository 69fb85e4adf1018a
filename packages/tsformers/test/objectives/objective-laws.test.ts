import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Concrete,
  compile,
  flatten,
  fromNumbers,
  isNdArray,
  keyToArray,
  mapTree,
  type NDArray,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { attention } from "../../src/attention/softmax/attention.ts";
import { preNormBlock } from "../../src/blocks/block.ts";
import { preNormCrossBlock } from "../../src/blocks/cross-block.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import { encoderDecoder } from "../../src/models/encoder-decoder.ts";
import { transformerParts } from "../../src/models/encoder-decoders/transformer.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { classification } from "../../src/objectives/classification.ts";
import type { Memories, Objective } from "../../src/objectives/objective.ts";
import { sequenceToSequenceObjective } from "../../src/objectives/sequence-to-sequence.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import { majorityTask } from "../../src/tasks/algorithmic/majority.ts";
import type { Batch } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { lossAndGradients } from "../../src/train/accumulate.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, length, modelWidth, heads] = [11, 12, 16, 2];
const sizes = { vocabularySize: V, layers: 2, modelWidth, heads, length };
const mixer = (name: "routing" | "performer", causal: boolean) =>
  mixers[name].make(name === "routing" ? { centroids: 3 } : {}, { modelWidth, heads, length, causal });

const formOf = (tree: unknown) => {
  const { leaves, structure } = flatten(tree, isNdArray);
  return { structure, types: leaves.map(({ shape, dtype }) => [dtype, ...shape]) };
};
const numbersOf = (tree: unknown): number[] => flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());

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

describe("training state and losses of mixers come out of each objective", async () => {
  const layers = async (causal: boolean) => {
    const [first, second] = [await mixer("performer", causal), await mixer("routing", causal)];
    return (layer: number) => (layer === 0 ? first : second);
  };
  const copy = copyTask({ symbols: 8, length });
  const majority = majorityTask({ symbols: 4, length });
  const [gptModel, bertModel] = [
    gpt({ ...sizes, mixer: await layers(true) }),
    bert({ ...sizes, mixer: await layers(false) }),
  ];
  const parts = { modelWidth, norm: layerNorm(), ffn: mlp({ modelWidth, ffnWidth: 16, activation: geluTanh }) };
  const pairsModel = encoderDecoder({
    ...transformerParts(sizes),
    encoder: [preNormBlock({ ...parts, mixer: await mixer("performer", false) }) as never],
    decoder: [preNormCrossBlock({ ...parts, mixer: await mixer("routing", true), cross: attention(sizes) }) as never],
  });
  const cases: Readonly<Record<string, [Objective<never, never>, unknown]>> = {
    "next tokens": [tokenObjective(gptModel) as never, copy.views.next.trainBatch(1, 2)],
    classes: [
      classification(bertModel.body, { classes: 4 }) as never,
      majority.views.labelled.trainBatch(1, 2, length),
    ],
    pairs: [sequenceToSequenceObjective(pairsModel) as never, copy.views.pairs.trainBatch(1, 2)],
  };

  test.each(Object.entries(cases))("%s", async (_, [objective, batch]) => {
    const params = objective.init(randomKey(1)) as { trainingState: unknown };
    const loss = (params: never, batch: never, key: Tensor) => objective.loss(params, batch, { key });
    const out = (await run(loss, params, batch, keyToArray(randomKey(2)))) as {
      losses: Record<string, NDArray>;
      trainingState: unknown;
    };
    expect(params.trainingState).toBeDefined();
    expect(formOf(out.trainingState)).toEqual(formOf(params.trainingState));
    expect(numbersOf(out.trainingState)).not.toEqual(numbersOf(params.trainingState));
    expect(Object.keys(out.losses)).toEqual(["commitment"]);
    expect(out.losses.commitment!.item()).toBeGreaterThan(0);
  });
});

describe("what rows remember", () => {
  const model = transformerXl({ ...sizes, layers: 2, memoryLength: 8 });
  const objective = tokenObjective(model, { segments: true });
  // Initial weights of 0.02 would let everything look alike.
  const params = mapTree(objective.init(randomKey(1)), isNdArray, louder);
  const rows = 4;
  const batchOf = (seed: number, fresh: readonly number[]): Batch => {
    const tokens = Array.from({ length: rows * length }, (_, i) => (i * i * seed + 3 * i) % V);
    const whole = (values: number[], dtype: "int32" | "float32") => fromNumbers(values, [rows, length], dtype);
    return {
      inputs: whole(tokens, "int32"),
      targets: whole(
        tokens.map((token) => (token + seed) % V),
        "int32",
      ),
      weights: whole(
        tokens.map(() => 1),
        "float32",
      ),
      fresh: fromNumbers([...fresh], [rows]),
    };
  };
  const begin = objective.startMemories!(rows);
  const read = (batch: Batch, memories: unknown) =>
    run(
      (params: never, batch: never, memories: Memories) => objective.totals(params, batch, memories),
      params,
      batch,
      memories,
    ) as Promise<{ totals: Record<string, NDArray>; memories: Memories }>;
  const lossOf = (out: Awaited<ReturnType<typeof read>>) => out.totals.lossSum!.item();
  const [none, all] = [
    [0, 0, 0, 0],
    [1, 1, 1, 1],
  ];

  test("goes from batch to batch in its form, and changes what is predicted", async () => {
    const first = await read(batchOf(2, all), begin);
    expect(formOf(first.memories)).toEqual(formOf(begin));
    const [remembering, forgetting] = [
      await read(batchOf(5, none), first.memories),
      await read(batchOf(5, all), first.memories),
    ];
    expect(Math.abs(lossOf(remembering) - lossOf(forgetting))).toBeGreaterThan(1e-2);
    expect(lossOf(forgetting)).toBeCloseTo(lossOf(await read(batchOf(5, none), begin)), 4);
  });

  test("starts again for rows whose document begins, and for no other", async () => {
    const { memories } = await read(batchOf(2, all), begin);
    const some = (await read(batchOf(5, [0, 1, 1, 0]), memories)).memories;
    const [kept, reset] = [
      (await read(batchOf(5, none), memories)).memories,
      (await read(batchOf(5, all), memories)).memories,
    ];
    const leaves = (tree: unknown) => flatten(tree, isNdArray).leaves;
    leaves(some).forEach((array, i) => {
      const size = array.size / rows;
      const row = (of: NDArray, b: number) => of.toNumbers().slice(b * size, (b + 1) * size);
      for (const b of [0, 3]) expect(row(array, b)).toEqual(row(leaves(kept)[i]!, b));
      for (const b of [1, 2]) expect(row(array, b)).toEqual(row(leaves(reset)[i]!, b));
    });
  });

  test("is there for objectives over segments and models that remember only", () => {
    expect(tokenObjective(model).startMemories).toBeUndefined();
    expect(tokenObjective(gpt(sizes), { segments: true }).startMemories).toBeUndefined();
  });

  test("is the same when a batch is worked through in parts", async () => {
    const { memories } = await read(batchOf(2, all), begin);
    const inParts = (parts: number) =>
      run(
        (params: never, batch: never, memories: Memories) => {
          const out = lossAndGradients(objective.loss as never, parts, params, batch, evaluation, { memories });
          return { loss: out.loss, memories: out.memories };
        },
        params,
        batchOf(5, [0, 1, 0, 1]),
        memories,
      ) as Promise<{ loss: NDArray; memories: Memories }>;
    const [whole, halves, quarters] = [await inParts(1), await inParts(2), await inParts(4)];
    for (const parts of [halves, quarters]) {
      expect(formOf(parts.memories)).toEqual(formOf(whole.memories));
      expect(parts.loss.item()).toBeCloseTo(whole.loss.item(), 4);
      const expected = numbersOf(whole.memories);
      numbersOf(parts.memories).forEach((value, i) => void expect(value).toBeCloseTo(expected[i]!, 4));
    }
  });

  test("is saved: a run that was interrupted ends with the bytes of one that was not", async () => {
    const directory = mkdtempSync(join(tmpdir(), "segments-"));
    const text = Array.from({ length: 250 }, (_, n) => `${String(n).padStart(3, "0")} `).join("");
    const task = textTask({ text, tokenizer: characterTokenizer, length });
    const trained = transformerXl({ ...sizes, vocabularySize: task.vocabularySize, memoryLength: 8 });
    const options = (steps: number, more: object): TrainOptions<unknown, Batch> => ({
      objective: tokenObjective(trained, { segments: true }) as Objective<unknown, Batch>,
      task,
      view: task.views.segments,
      optimiser: adamw(),
      schedule: constantRate(1e-2),
      steps,
      batchSize: 2,
      length,
      microBatches: 2,
      evalTokens: 24,
      device,
      ...more,
    });
    const whole = await train(options(6, {}));
    await train(options(3, { directory, evalEvery: 2 }));
    const resumed = await train(options(6, { directory }));
    rmSync(directory, { recursive: true });
    expect(resumed.step).toBe(6);
    expect(numbersOf(resumed.params as Concrete<unknown>)).toEqual(numbersOf(whole.params as Concrete<unknown>));
    expect(resumed.evaluation).toEqual(whole.evaluation);
  });
});
