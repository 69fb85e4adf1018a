// GTrXL: eight layers learn on-line to recall what they saw, where those of a canonical Transformer-XL learn little.
import assert from "node:assert/strict";
import { randomKey } from "@tsformers/engine";
import { systems } from "tsformers/catalogue";
import { gtrxl, type TokenBody, transformerXl } from "tsformers/models";
import { glorotUniform, residualGate } from "tsformers/nn";
import { actorCritic, type Environment, keyToDoor, playEpisodes, recall, rollOutLine, trainOnLine } from "tsformers/rl";
import { countParameters } from "tsformers/run";
import { adamw, constantRate } from "tsformers/train";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { kind: _, ...small } = systems.gtrxl.presets.small.run.model;
const { layers, modelWidth: C, heads, memoryLength } = small as Readonly<Record<string, number>>;
const sizes = { vocabularySize: 1, layers: layers!, modelWidth: C!, heads: heads! };
const gated = { ...sizes, memoryLength: memoryLength! };
// As many parameters as gates have, in wider feed-forward networks.
const ungated = { ...sizes, ffnWidth: 4 * C! + Math.round((2 * (6 * C! ** 2 + C!)) / (2 * C! + 1)) };

const ours = (): TokenBody => gtrxl(gated).body;
/** TrXL-I of the paper: norms before the sublayers as in GTrXL, but plain sums. */
const reordered = (): TokenBody => gtrxl({ ...ungated, memoryLength: memoryLength!, gate: residualGate }).body;
/** Norms behind plain sums. It sees as far, and its matrices begin alike. */
const canonical = (): TokenBody =>
  transformerXl({ ...ungated, memoryLength: memoryLength! + 1, sameLength: true, initial: glorotUniform() }).body;

const asked = () => recall({ symbols: 4, distance: 2, length: 8 });
const door = () => keyToDoor({ size: 3, steps: [6, 2, 6] });
const [rows, length, rollOuts] = [32, 16, 60];
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const listed = (values: readonly number[]): string => values.map((value) => value.toFixed(2)).join(", ");

type Work = {
  readonly environment: () => Environment;
  readonly entropyWeight: number;
  readonly rate: number;
  readonly seed: number;
};

await prove("gtrxl", async ({ device, folder, signal, say }) => {
  /** The mean return of an agent that has learned. */
  const learn = async (name: string, body: TokenBody, { environment, entropyWeight, rate, seed }: Work) => {
    const model = actorCritic(body, environment());
    const part = `${name}-${rate}-${seed}`;
    const { ended, params } = await trainOnLine({
      ...{ model, environment, rows, length, rollOuts, device, signal, seed },
      optimiser: adamw({ weightDecay: 0, beta2: 0.999 }),
      schedule: constantRate(rate),
      ppo: { entropyWeight },
      directory: `${folder}/${part}`,
      checkpointEvery: 10,
      identity: { ...gated, rate },
      onEvent: (event) => {
        if (event.kind === "roll-out" && event.rollOut % 20 === 0) say(`${part}: ${rollOutLine(event)}`);
      },
    });
    if (ended === "interrupted") throw signal.reason;
    return mean(await playEpisodes({ model, params, environment, episodes: 200, device }));
  };
  const ofSeeds = async (name: string, body: () => TokenBody, rate: number): Promise<number[]> => {
    const returns: number[] = [];
    for (const seed of [0, 1, 2])
      returns.push(await learn(name, body(), { environment: asked, entropyWeight: 0.03, rate, seed }));
    return returns;
  };
  const count = (body: TokenBody) => countParameters(actorCritic(body, asked()).init(randomKey(0)));
  for (const other of [reordered(), canonical()]) assert.ok(Math.abs(count(other) / count(ours()) - 1) < 0.01);

  const returns = await ofSeeds("gated", ours, 3e-3);
  const plain = [await ofSeeds("canonical", canonical, 3e-3), await ofSeeds("canonical", canonical, 1e-3)];
  const best = plain.reduce((a, b) => (mean(b) > mean(a) ? b : a));
  const fetching = { environment: door, entropyWeight: 0.01, rate: 3e-3, seed: 0 };
  const opened = await learn("door", gtrxl({ ...gated, layers: 2 }).body, fetching);
  const result = resultOf({
    measure: "return of naming what was shown two steps before, 1 at most, −0.5 by guessing; mean of three seeds",
    better: "more",
    ours: mean(returns),
    plain: mean(best),
    plainIs: "a canonical Transformer-XL of equal size at the better of two learning rates",
    target: 0.9,
    size: `${layers} layers of ${C}, ${count(ours())} parameters, ${rollOuts} roll-outs of ${rows} × ${length} steps`,
    paper: "DMLab-30, 12 layers: human-normalised score 117.6, 107.0 of TrXL-I, 5.0 of a canonical Transformer-XL",
    figures: {
      "each seed": listed(returns),
      "each seed of the canonical one, at 0.003 and at 0.001": plain.map(listed).join("; "),
      "each seed of TrXL-I: norms as here, but no gates": listed(await ofSeeds("reordered", reordered, 3e-3)),
      "key-to-door (3 × 3 cells, 14 steps), success of two layers": opened,
    },
  });
  return { ...result, reached: result.reached && Math.min(...returns) > 0.8 && mean(best) < 0.5 };
});
