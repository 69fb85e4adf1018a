import { compile, fromNumbers, keyToArray, NDArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { gpt } from "../../src/models/gpt.ts";
import { positions } from "../../src/position/index.ts";
import { adamw } from "../../src/train/adamw.ts";
import { lossScale } from "../../src/train/loss-scale.ts";
import { trainStep } from "../../src/train/step.ts";
import { languageModelTrainee } from "../../src/train/trainee.ts";

const sizes = { layers: 1, modelWidth: 16, heads: 2, length: 8 };
const batch = {
  inputs: new NDArray(
    [2, 8],
    "int32",
    Int32Array.from({ length: 16 }, (_, i) => (3 * i) % 11),
  ),
  targets: new NDArray(
    [2, 8],
    "int32",
    Int32Array.from({ length: 16 }, (_, i) => (3 * i + 3) % 11),
  ),
  weights: new NDArray([2, 8], "float32", new Float32Array(16).fill(1)),
};
const control = { learningRate: fromNumbers([1e-2], []), key: keyToArray(randomKey(0)) };

for (const [name, entry] of Object.entries(positions)) {
  test(`a loss in float16 falls with ${name} positions and stays near that in float32`, async () => {
    const device = await openCpu();
    const scheme = await entry.load({}, sizes);
    const model = gpt({ vocabularySize: 11, ...sizes, scheme });
    const losses = async (float16: boolean) => {
      const { loss } = languageModelTrainee(model);
      const step = trainStep({ loss, optimiser: adamw(), ...(float16 && { float16: lossScale() }) });
      const update = compile(step.update, { device });
      let state: Parameters<typeof update>[0] = step.init(model.init(randomKey(1)));
      const seen: number[] = [];
      for (let i = 0; i < 5; i++) {
        const result = await update(state, batch, control);
        state = result.state;
        seen.push((await result.metrics.loss.read()).item());
      }
      await update.release();
      return seen;
    };
    const [half, full] = [await losses(true), await losses(false)];
    expect(half.at(-1)!).toBeLessThan(half[0]!);
    // 11 bits of mantissa through a layer and five steps
    for (const [i, loss] of half.entries()) expect(Math.abs(loss - full[i]!)).toBeLessThan(0.02);
  });
}
