// Transformer-XL: reading in segments, its memory of earlier ones makes it predict better than a plain model of equal size. The other way to give
// that model more context is a window that slides token by token: it takes many times as long.
import assert from "node:assert/strict";
import { systems } from "tsformers/catalogue";
import type { RunConfigInput } from "tsformers/run";
import { type Bench, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const small = systems["transformer-xl"].presets.small.run;
const run: RunConfigInput = { ...small, steps: 1000, batchSize: 32, seed: 0 };
const { memoryLength } = small.model as { readonly memoryLength?: number };
const segment = run.length!;
/** Tokens that each way of reading scores, the same ones. */
const limit = 8192;

type Score = { readonly bits: number; readonly seconds: number };

async function scoreOf(
  { scored }: Bench,
  trained: Parameters<Bench["scored"]>[0],
  length: number,
  stride?: number,
): Promise<Score> {
  const score = await scored(trained, { lengths: [length], limit, ...(stride !== undefined && { stride }) });
  return { bits: score.loss / Math.LN2, seconds: limit / score.tokensPerSecond };
}

await prove("transformer-xl", async (bench) => {
  const xl = await bench.run("transformer-xl", run);
  // The same attention by distance, so that windows longer than in training can be read.
  const gpt = await bench.run("gpt", {
    ...run,
    model: { kind: "gpt", layers: 4, modelWidth: 64, heads: 4, position: { kind: "transformer-xl" } },
  });
  const reuse = await scoreOf(bench, xl, segment);
  const apart = await scoreOf(bench, gpt, segment);
  const sliding = await scoreOf(bench, gpt, segment, 1);
  const equal = await scoreOf(bench, gpt, segment + memoryLength!, 1);
  assert(equal.seconds > 5 * reuse.seconds, `sliding took ${equal.seconds} s, segments with memory ${reuse.seconds} s`);
  bench.say(
    `seconds for ${limit} characters: ${reuse.seconds.toFixed(2)} with memory, ${equal.seconds.toFixed(2)} sliding`,
  );
  return resultOf({
    measure: "bits per character, grammar text",
    better: "less",
    ours: reuse.bits,
    plain: apart.bits,
    plainIs: "a GPT with the same attention by distance, which reads the same segments",
    target: 0.92 * apart.bits,
    size: "4 layers of 64, 0.22M parameters, 1,000 steps of 32 × 32 characters",
    paper:
      "1.06 bits per character on enwik8 with 12 layers, a plain one of Al-Rfou's 1.11; evaluation up to 1,874 times as fast",
    figures: {
      "plain, a window of 32 that slides": sliding.bits,
      "plain, a window of 64 that slides": equal.bits,
      "seconds with memory": reuse.seconds,
      "seconds of a window of 64 that slides": equal.seconds,
    },
  });
});
