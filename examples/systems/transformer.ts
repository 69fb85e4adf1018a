// Transformer: translates English into Swedish, and is scored by BLEU. The decoder of the plain model gets one vector for the whole source, as
// decoders did before attention.
import { existsSync } from "node:fs";
import { add, cast, div, expandDims, maximum, mul, sum, type Tensor } from "@tsformers/engine";
import { systems } from "tsformers/catalogue";
import {
  type EncoderDecoderParams,
  type SequenceToSequence,
  type TransformerOptions,
  transformer,
} from "tsformers/models";
import { scoreTranslations } from "tsformers/node";
import { sequenceToSequenceObjective } from "tsformers/objectives";
import { countParameters } from "tsformers/run";
import { adamw, inverseSquareRoot } from "tsformers/train";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/tatoeba_eng_swe/swe-eng.zip";
const { run } = systems.transformer.presets.small;

/** The model whose decoder sees at each place of the source the mean of all: keys and values are linear in the encoder's vectors. */
function withOneVector(model: SequenceToSequence<EncoderDecoderParams>): SequenceToSequence<EncoderDecoderParams> {
  return {
    ...model,
    encode: (params, source, context) => {
      const out = model.encode(params, source, context);
      // [B, S] → [B, 1, S, 1]
      const real = expandDims(expandDims(cast(source.mask!, "float32"), 1), -1);
      // Rows that fill a batch up have no tokens.
      const count = maximum(sum(real, { axes: 2, keepDims: true }), 1);
      const mean = (x: Tensor): Tensor => add(mul(x, 0), div(sum(mul(x, real), { axes: 2, keepDims: true }), count));
      return { ...out, entries: out.entries.map(({ key, value }) => ({ key: mean(key), value: mean(value) })) };
    },
  };
}

await prove("transformer", async ({ run: trained, train, device, signal, say }) => {
  if (!existsSync(data)) throw new MissingData(`sentence pairs: expected ${data}`);
  const ours = await trained("ours", { ...run, task: { ...run.task!, data } });
  const { model, config, task, view } = ours.run;
  const sizes = { ...run.model, vocabularySize: task.vocabularySize } as unknown as TransformerOptions;
  const oneVector = withOneVector(transformer(sizes));
  const { steps, batchSize, length, learningRate, labelSmoothing: smoothing } = config;
  const { warmupSteps } = config.schedule as never as { warmupSteps: number };
  const plain = await train("one vector", {
    objective: sequenceToSequenceObjective(oneVector, { smoothing }),
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
  const other = { ...oneVector, category: "encoder-decoder" } as typeof model;
  const least = await bleuOf({ model: other, params: plain.params, task }, 1);
  return resultOf({
    measure: "BLEU (sacreBLEU's 13a) of greedy translations into Swedish, short sentences of Tatoeba",
    better: "more",
    ours: greedy,
    plain: least,
    plainIs: "the same model whose decoder gets the mean of the source's vectors in place of attention to each",
    target: least + 2,
    size: `2 layers on either side of 128, ${countParameters(ours.params)} parameters, ${steps} steps of ${batchSize} sentences`,
    paper: "27.3 (base) and 28.4 (big) on newstest2014, English to German",
    figures: { "beam search with 4 candidates": await bleuOf(own, 4) },
  });
});
