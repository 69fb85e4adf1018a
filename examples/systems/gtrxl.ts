// GTrXL: an agent that learns on-line to carry a sign to the end of a corridor, where one without memory can only guess.
import assert from "node:assert/strict";
import { randomKey } from "@tsformers/engine";
import { models, systems } from "tsformers/catalogue";
import { type TokenBody, transformerXl } from "tsformers/models";
import { actorCritic, playEpisodes, rollOutLine, tMaze, trainOnLine } from "tsformers/rl";
import { countParameters } from "tsformers/run";
import { adamw, constantRate } from "tsformers/train";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { kind: _, ...small } = systems.gtrxl.presets.small.run.model;
const { layers, modelWidth, heads, memoryLength } = small as Readonly<Record<string, number>>;
const sizes = { vocabularySize: 1, layers: layers!, modelWidth: modelWidth!, heads: heads! };
const [rows, length, rollOuts] = [32, 16, 120];
const environment = () => tMaze({ length: 8 });

const gated = (memoryLength: number): TokenBody => models.gtrxl.make({ ...sizes, memoryLength }).body;

/** Norms behind residual sums, no gates: feed-forward networks are wider by as many parameters. */
function canonical(): TokenBody {
  const { modelWidth } = sizes;
  const gates = 2 * (6 * modelWidth ** 2 + modelWidth);
  const ffnWidth = 4 * modelWidth + Math.round(gates / (2 * modelWidth + 1));
  return transformerXl({ ...sizes, ffnWidth, memoryLength: memoryLength! + 1, sameLength: true }).body;
}

await prove("gtrxl", async ({ device, folder, signal, say }) => {
  const learn = async (name: string, body: TokenBody): Promise<number> => {
    const model = actorCritic(body, environment());
    const { ended, params } = await trainOnLine({
      ...{ model, environment, rows, length, rollOuts, device, signal },
      optimiser: adamw({ weightDecay: 0, beta2: 0.999 }),
      schedule: constantRate(1e-3),
      directory: `${folder}/${name}`,
      checkpointEvery: 10,
      identity: { ...sizes, memoryLength: memoryLength! },
      onEvent: (event) => {
        if (event.kind === "roll-out" && event.rollOut % 10 === 0) say(`${name}: ${rollOutLine(event)}`);
      },
    });
    if (ended === "interrupted") throw signal.reason;
    const returns = await playEpisodes({ model, params, environment, episodes: 200, device });
    return returns.reduce((a, b) => a + b, 0) / returns.length;
  };
  const parameters = (body: TokenBody) => countParameters(actorCritic(body, environment()).init(randomKey(0)));
  const count = parameters(gated(memoryLength!));
  assert.equal(parameters(gated(1)), count);
  assert.ok(Math.abs(parameters(canonical()) / count - 1) < 0.01);
  return resultOf({
    measure: "return in a T-maze of length 8, 4 at most, 1.95 by guessing",
    better: "more",
    ours: await learn("remembering", gated(memoryLength!)),
    plain: await learn("plain", gated(1)),
    plainIs: "the same layers that see one step back each",
    target: 3.5,
    size: `${layers} layers of ${modelWidth}, ${count} parameters, ${rollOuts} roll-outs of ${rows} × ${length} steps`,
    paper: "DMLab-30, 12 layers: human-normalised score 117.6, against 5.0 of a canonical Transformer-XL",
    figures: {
      "a canonical Transformer-XL of equal size, which learns at this depth": await learn("canonical", canonical()),
    },
  });
});
