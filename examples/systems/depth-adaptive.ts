// Depth-Adaptive Transformer: tokens that need one look-up leave the decoder early, those that need three go on.

import { systems } from "tsformers/catalogue";
import type { SequenceToSequence } from "tsformers/models";
import { makeModel } from "tsformers/run";
import type { PairBatch } from "tsformers/tasks";
import { evaluateDepth } from "tsformers/train";
import { prove, type Trained } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run, vocabularySize } = systems["depth-adaptive-transformer"].presets.small;
const { decoderLayers, modelWidth, heads, ffnWidth } = run.model as unknown as Record<string, number>;
const { length, batchSize } = run as { length: number; batchSize: number };

await prove("depth-adaptive", async ({ run: trained, device, say }) => {
  /** Accuracy and mean depth of a training, its model read with other settings. */
  const score = async ({ run: { task, config }, params }: Trained, split: "valid" | "test", settings: object) => {
    const model = await makeModel({ model: { ...config.model, ...settings }, length }, vocabularySize);
    const batches: Iterable<PairBatch> = task.views.pairs!.evalBatches(split, { batchSize, length, limit: 4096 });
    return evaluateDepth(model as SequenceToSequence, params, batches, device);
  };
  const allLayers = { leastLayers: decoderLayers };
  const ours = await trained("ours", run);

  // The threshold is found on the validation split: the shallowest that keeps the accuracy of all layers within half a point.
  const full = await score(ours, "valid", allLayers);
  const table = [];
  for (const threshold of [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) {
    const { accuracy, meanLayers } = await score(ours, "valid", { threshold });
    say(`threshold ${threshold}: ${(100 * accuracy).toFixed(2)} % right in ${meanLayers.toFixed(2)} layers`);
    table.push({ threshold, accuracy, meanLayers });
  }
  const good = table.filter(({ accuracy }) => accuracy >= full.accuracy - 0.005);
  const { threshold } = good.sort((a, b) => a.meanLayers - b.meanLayers)[0] ?? { threshold: 2 };
  const [early, all] = [await score(ours, "test", { threshold }), await score(ours, "test", allLayers)];

  // As deep as ours is in the mean, in whole layers, and wide enough in its feed-forward networks to have as many parameters.
  const depth = Math.floor(early.meanLayers);
  const spared = (decoderLayers! - depth) * (8 * modelWidth! ** 2 + 2 * modelWidth! * ffnWidth!);
  const wide = ffnWidth! + Math.round(spared / (2 * modelWidth! * (1 + depth)));
  const plainModel = { kind: "transformer", layers: 1, decoderLayers: depth, modelWidth, heads, ffnWidth: wide };
  const plain = await score(await trained(`plain-${depth}`, { ...run, model: plainModel }), "test", {});

  return resultOf({
    measure: "token accuracy, pointer chasing",
    better: "more",
    ours: early.accuracy,
    plain: plain.accuracy,
    plainIs: `a Transformer with a decoder of ${depth} layer${depth === 1 ? "" : "s"}, feed-forward networks of ${wide}`,
    target: 0.98,
    size: `1 and ${decoderLayers} layers of ${modelWidth}, ${run.steps} steps of ${batchSize} rows`,
    paper: "the BLEU of a tuned Transformer with less than a quarter of its decoder layers, IWSLT'14 and WMT'14",
    figures: {
      [`layers a token, of ${decoderLayers}`]: early.meanLayers,
      "accuracy with all layers": all.accuracy,
      threshold,
      ...Object.fromEntries(
        table.map((row) => [
          `threshold ${row.threshold}`,
          `${row.accuracy.toFixed(3)} in ${row.meanLayers.toFixed(2)} layers`,
        ]),
      ),
    },
  });
});
