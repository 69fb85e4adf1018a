// CALM: a decoder that stops for a token when it is confident. The threshold is calibrated: with a probability of 95 %, at most a tenth of
// what it writes differs from what all layers write.
import { systems } from "tsformers/catalogue";
import { learnThenTest } from "tsformers/depth";
import { generate, openSequenceDecoder } from "tsformers/generate";
import type { SequenceToSequence } from "tsformers/models";
import { makeModel } from "tsformers/run";
import type { PairBatch } from "tsformers/tasks";
import { evaluateDepth } from "tsformers/train";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run, vocabularySize } = systems.calm.presets.small;
const { decoderLayers, modelWidth } = run.model as unknown as Record<string, number>;
const { length, batchSize } = run as { length: number; batchSize: number };
const bound = { risk: 0.1, error: 0.05 };
const thresholds = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];

await prove("calm", async ({ run: trained, device, say }) => {
  const { run: ready, params } = await trained("ours", run);
  const rows = (split: "valid" | "test", options: { batchSize: number; limit?: number }): Iterable<PairBatch> =>
    ready.task.views.pairs!.evalBatches(split, { length, ...options });
  const modelOf = async (settings: object) =>
    (await makeModel({ model: { ...run.model, ...settings }, length }, vocabularySize)) as SequenceToSequence;
  const score = async (settings: object) =>
    evaluateDepth(await modelOf(settings), params, rows("test", { batchSize, limit: 4096 }), device);
  /** Writes freely for so many rows of a split, and says how many milliseconds the decoder took. */
  const writer = async (settings: object) => {
    const decoder = openSequenceDecoder(await modelOf(settings), params as never, { device });
    const write = async (split: "valid" | "test", count: number) => {
      const answers: number[][] = [];
      let timeMs = 0;
      for (const { source, inputs, weights } of rows(split, { batchSize: 1 })) {
        if (answers.length === count) break;
        const target = await decoder.begin(source.toNumbers().filter(Boolean), { maxLength: length });
        const [first, scored] = [weights.toNumbers().indexOf(1), weights.toNumbers().filter(Boolean).length];
        // The pointers and the walk's first symbol are given.
        await target.read(inputs.toNumbers().slice(0, first));
        const [begun, answer] = [[inputs.toNumbers()[first]!], [] as number[]];
        const start = performance.now();
        for await (const token of generate(target, begun, { count: scored, temperature: 0 })) answer.push(token);
        timeMs += performance.now() - start;
        answers.push(answer);
      }
      return { answers, timeMs };
    };
    return { write, release: decoder.release };
  };
  const allLayers = { leastLayers: decoderLayers };
  const changed = (answer: number[], reference: number[]) =>
    answer.filter((token, t) => token !== reference[t]).length / reference.length;
  const slow = await writer(allLayers);
  const reference = (await slow.write("valid", 100)).answers;
  const written: number[][][] = [];
  for (const threshold of thresholds) {
    const { write, release } = await writer({ threshold });
    written.push((await write("valid", 100)).answers);
    await release();
  }
  const losses = reference.map((answer, i) => written.map((answers) => changed(answers[i]!, answer)));
  const { selected, risks, pValues } = learnThenTest(losses, bound);
  for (const [i, at] of thresholds.entries())
    say(`threshold ${at}: ${risks[i]!.toFixed(3)} changed, p = ${pValues[i]!.toExponential(1)}`);
  const threshold = thresholds[selected] ?? 2;
  const early = await score({ threshold });
  // The plain way to save layers: all tokens end after the same one, and as many in the mean.
  const depth = Math.round(early.meanLayers);
  const fast = await writer({ threshold });
  const cut = await writer({ threshold: -1, leastLayers: depth });
  const all = (await slow.write("test", 150)).answers;
  const share = async ({ write }: typeof fast) => {
    const { answers } = await write("test", 150);
    return answers.reduce((sum, answer, i) => sum + changed(answer, all[i]!), 0) / answers.length;
  };
  const [exits, ends] = [await share(fast), await share(cut)];
  // Taken in turns, so that whatever else the machine does slows both.
  let [allMs, earlyMs] = [Infinity, Infinity];
  for (let round = 0; round < 5; round++) {
    allMs = Math.min(allMs, (await slow.write("test", 40)).timeMs);
    earlyMs = Math.min(earlyMs, (await fast.write("test", 40)).timeMs);
  }
  await Promise.all([slow, fast, cut].map(({ release }) => release()));
  return resultOf({
    measure: "share of written tokens that differ from what all layers write, pointer chasing",
    better: "less",
    ours: exits,
    plain: ends,
    plainIs: `the same decoder, ending after ${depth} layers for every token`,
    target: Math.min(bound.risk, 0.75 * ends),
    size: `1 and ${decoderLayers} layers of ${modelWidth}, ${run.steps} steps of ${batchSize} rows`,
    paper: "up to three times faster on CNN/DailyMail, WMT and SQuAD with T5, within the bound",
    figures: {
      "guaranteed, with a probability of 95 %": `at most ${bound.risk}`,
      threshold,
      [`layers a token, of ${decoderLayers}`]: early.meanLayers,
      "accuracy with all layers": (await score(allLayers)).accuracy,
      "times as fast as all layers, one row at a time (measured)": allMs / earlyMs,
    },
  });
});
