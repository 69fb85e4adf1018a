/** Our side of the recipe bench: prints one JSON line, a RecipeResult (../recipe.ts). */
import { readFileSync } from "node:fs";
import { compile, fromNumbers, keyToArray, NDArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { adamw, gpt, tokenObjective, warmupCosine } from "tsformers";
import { stackTrees, suitableMicroBatches, trainStep } from "tsformers/train";
import type { RecipeJob, RecipeResult } from "../recipe.ts";

const job = JSON.parse(process.argv[2]!) as RecipeJob;
const { vocabulary, layers, width, heads, batch, length, threads, steps, rate, betas, weightDecay, clipNorm } = job;
const text = readFileSync(job.file, "utf8");
const characters = [...new Set(text)].sort();
if (characters.length !== vocabulary) {
  throw new Error(`${job.file}: expected ${vocabulary} different characters, got ${characters.length}`);
}
const ids = new Map(characters.map((character, id) => [character, id]));
const tokens = Int32Array.from(text, (character) => ids.get(character)!);
const cut = Math.floor(0.9 * tokens.length);
const [training, validation] = [tokens.subarray(0, cut), tokens.subarray(cut)];

/** Rows that begin at these places. */
function rowsAt(of: Int32Array, places: readonly number[]) {
  const shape = [places.length, length];
  const take = (shift: number) => {
    const data = new Int32Array(places.length * length);
    for (const [row, at] of places.entries()) data.set(of.subarray(at + shift, at + shift + length), row * length);
    return new NDArray(shape, "int32", data);
  };
  const weights = new NDArray(shape, "float32", new Float32Array(places.length * length).fill(1));
  return { inputs: take(0), targets: take(1), weights };
}

const device = await openCpu({ threads });
const model = gpt({ vocabularySize: vocabulary, layers, modelWidth: width, heads, length });
const objective = tokenObjective(model);
const step = trainStep({
  loss: objective.loss,
  optimiser: adamw({ beta1: betas[0], beta2: betas[1], weightDecay }),
  clipNorm,
  microBatches: suitableMicroBatches(batch, length),
});
const rateAt = warmupCosine({
  peak: rate.peak,
  warmupSteps: rate.warmupSteps,
  totalSteps: steps,
  floor: rate.last / rate.peak,
});
/** Updates in one run, as `train()` makes them where a step is this short. */
const together = 10;
const updates = compile(step.updates, { device, donate: [0] });
let state: Parameters<typeof updates>[0] = step.init(model.init(randomKey(0)));

// Places are drawn by a linear congruential generator (Numerical Recipes): which ones is of no importance, but they repeat.
let drawn = 1;
const place = (): number => {
  drawn = (Math.imul(drawn, 1664525) + 1013904223) >>> 0;
  return drawn % (training.length - length - 1);
};
const begun = performance.now();
for (let done = 0; done < steps; done += together) {
  const numbers = Array.from({ length: Math.min(together, steps - done) }, (_, i) => done + i);
  const inputs = numbers.map((i) => {
    const rows = rowsAt(training, Array.from({ length: batch }, place));
    const control = { learningRate: fromNumbers([rateAt(i + 1)], []), key: keyToArray(randomKey(i)) };
    return [rows, control] as const;
  });
  const result = await updates(state, ...stackTrees(inputs)!);
  // The losses are read back, as a loop that logs does.
  await result.metrics.loss.read();
  state = result.state;
}
const seconds = (performance.now() - begun) / 1000;

const totals = compile((params: never, rows: never) => objective.totals(params, rows).totals, { device });
const [evaluated, lossSums] = [96, [] as number[]];
const whole = Math.floor((validation.length - 1) / length);
let count = 0;
for (let row = 0; row + evaluated <= whole; row += evaluated) {
  const places = Array.from({ length: evaluated }, (_, i) => (row + i) * length);
  const found = await totals(state.params as never, rowsAt(validation, places) as never);
  lossSums.push((await found.lossSum.read()).item());
  count += evaluated * length;
}
const result: RecipeResult = { seconds, validationLoss: lossSums.reduce((sum, one) => sum + one, 0) / count };
console.log(JSON.stringify(result));
