// Transformer: translates English into Swedish, and is scored by BLEU. The plain model does not know where the words of its source stand.
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { encoderDecoder, type TransformerOptions, transformerParts } from "tsformers/models";
import { scoreTranslations } from "tsformers/node";
import { sequenceToSequenceObjective } from "tsformers/objectives";
import { countParameters } from "tsformers/run";
import { adamw, inverseSquareRoot } from "tsformers/train";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/tatoeba_eng_swe/swe-eng.zip";
const { run } = systems.transformer.presets.small;

await prove("transformer", async ({ run: trained, train, device, signal, say }) => {
  if (!existsSync(data)) throw new MissingData(`sentence pairs: expected ${data}`);
  const ours = await trained("ours", { ...run, task: { ...run.task!, data } });
  const { model, config, task, view } = ours.run;
  const sizes = { ...run.model, vocabularySize: task.vocabularySize };
  const { sourcePositions: _, ...parts } = transformerParts(sizes as unknown as TransformerOptions);
  const bag = encoderDecoder(parts);
  const { steps, batchSize, length, learningRate, labelSmoothing: smoothing } = config;
  const { warmupSteps } = config.schedule as never as { warmupSteps: number };
  const plain = await train("plain", {
    objective: sequenceToSequenceObjective(bag, { smoothing }),
    ...{ task, view: view as never, steps, batchSize, length, clipNorm: config.clip },
    optimiser: adamw({ beta2: 0.98, weightDecay: 0 }),
    schedule: inverseSquareRoot({ modelWidth: 1, warmupSteps, scale: learningRate * Math.sqrt(warmupSteps) }),
  });
  const bleuOf = async (of: Parameters<typeof scoreTranslations>[0], beams: number): Promise<number> => {
    const { score, translations, references } = await scoreTranslations(of, device, { beams, batchSize: 64, signal });
    say(`${translations[0]}\n${references[0]}\nBLEU ${score.toFixed(2)} with ${beams} beams`);
    return score;
  };
  const own = { model, params: ours.params, task };
  const greedy = await bleuOf(own, 1);
  const other = { model: { ...bag, category: "encoder-decoder" } as typeof model, params: plain.params, task };
  const target = await bleuOf(other, 1);
  return resultOf({
    measure: "BLEU (sacreBLEU's 13a) of greedy translations into Swedish, short sentences of Tatoeba",
    better: "more",
    ours: greedy,
    plain: target,
    plainIs: "the same model whose encoder has no positions, so that a source is a bag of words",
    target: target + 2,
    size: `2 layers on either side of 128, ${countParameters(ours.params)} parameters, ${steps} steps of ${batchSize} sentences`,
    paper: "27.3 (base) and 28.4 (big) on newstest2014, English to German",
    figures: { "beam search with 4 candidates": await bleuOf(own, 4) },
  });
});
