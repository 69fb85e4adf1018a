// Random feature attention with a gate: of text, where recent characters count most, it learns more than without, from a state of the same size.
import { systems } from "tsformers/catalogue";
import { openGenerator } from "tsformers/node";
import { countParameters } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems.rfa.presets.small;
const features = 32;
const mixers = {
  gated: { kind: "rfa", features, gated: true },
  plain: { kind: "rfa", features },
  softmax: { kind: "softmax" },
};

await prove("rfa", async ({ run: trained, scored, device, say }) => {
  const bitsOf = async (
    name: string,
    mixer: (typeof mixers)[keyof typeof mixers],
    learningRate = run.learningRate!,
  ) => {
    const done = await trained(name, { ...run, model: { ...run.model, mixer }, learningRate });
    const { loss } = await scored(done, { limit: 16_384 });
    say(`${name}: ${(loss / Math.LN2).toFixed(3)}`);
    return { ...done, bits: loss / Math.LN2 };
  };
  const ours = await bitsOf("gated", mixers.gated);
  const plain = [await bitsOf("plain", mixers.plain), await bitsOf("plain, half the rate", mixers.plain, 2e-3)];
  const best = Math.min(...plain.map(({ bits }) => bits));
  const softmax = await bitsOf("softmax", mixers.softmax);
  /** Seconds to write 1,100 characters after the first. */
  const writing = async ({ directory }: typeof ours): Promise<number> => {
    const generator = await openGenerator(directory, device);
    let from = 0;
    for await (const _ of generator.text("the ", { count: 1100, temperature: 0 })) from ||= performance.now();
    await generator.release();
    return (performance.now() - from) / 1000;
  };
  const [seconds, ofSoftmax] = [await writing(ours), await writing(softmax)];
  return resultOf({
    measure: "bits per character, grammar text, RFA with a gate",
    better: "less",
    ours: ours.bits,
    plain: best,
    plainIs: `RFA without a gate, ${countParameters(plain[0]!.params)} parameters, the better of two learning rates`,
    target: 0.7 * best,
    size: `2 layers of 64, 4 heads with ${features} rows each, ${countParameters(ours.params)} parameters, ${run.steps} steps of ${run.batchSize} × ${run.length} characters`,
    figures: {
      "softmax attention": softmax.bits,
      "seconds to write 1,100 characters": seconds,
      "the same with softmax attention": ofSoftmax,
    },
    paper: "WikiText-103, small model: perplexity 32.7 with the gate, 35.7 without, softmax 34.5",
  });
});
