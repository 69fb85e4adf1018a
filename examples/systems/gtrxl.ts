// GTrXL: twelve gated layers learn to remember by acting. Twelve plain ones of a Transformer-XL, drawn by the same rule, do not get there.
import { postNormBlock } from "tsformers/blocks";
import { systems } from "tsformers/catalogue";
import { blockStack } from "tsformers/depth";
import { segmentMemory } from "tsformers/memory";
import { attention } from "tsformers/mixers";
import { decoder, gtrxl, gtrxlParts, type TokenBody } from "tsformers/models";
import { glorotUniform, layerNorm, mlp, relu } from "tsformers/nn";
import { actorCritic, playEpisodes, rollOutLine, tMaze, trainOnLine } from "tsformers/rl";
import { adamw, constantRate } from "tsformers/train";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { layers, modelWidth, heads, memoryLength } = systems.gtrxl.presets.small.run.model as unknown as Record<
  "layers" | "modelWidth" | "heads" | "memoryLength",
  number
>;
const sizes = { vocabularySize: 1, layers, modelWidth, heads, memoryLength };
const [length, rows, steps, rollOuts] = [8, 32, 16, 60];
const environment = () => tMaze({ length });

/** The canonical arrangement: norms behind residual sums, no gates. Its feed-forward networks are wider by what gates have in parameters. */
function canonical(): TokenBody {
  const initial = glorotUniform();
  const gates = 2 * (6 * modelWidth ** 2 + modelWidth);
  const ffnWidth = 4 * modelWidth + Math.round(gates / (2 * modelWidth + 1));
  const block = postNormBlock<unknown, unknown>({
    modelWidth,
    norm: layerNorm(),
    mixer: segmentMemory(attention({ modelWidth, heads, bias: false, initial }), { length: memoryLength, modelWidth }),
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, initial }),
  });
  return decoder({ ...gtrxlParts(sizes), depth: blockStack(Array.from({ length: layers }, () => block)) }).body;
}

await prove("gtrxl", async ({ device, folder, signal, say }) => {
  const learn = async (name: string, body: TokenBody, rate: number): Promise<number> => {
    const model = actorCritic(body, environment());
    const { ended, params } = await trainOnLine({
      ...{ model, environment, rows, length: steps, rollOuts, device, signal },
      optimiser: adamw({ weightDecay: 0, beta2: 0.999 }),
      schedule: constantRate(rate),
      directory: `${folder}/${name}`,
      checkpointEvery: 10,
      identity: { name, rate },
      onEvent: (event) =>
        event.kind === "roll-out" && event.rollOut % 10 === 0 && say(`${name}: ${rollOutLine(event)}`),
    });
    if (ended === "interrupted") throw signal.reason;
    const returns = await playEpisodes({ model, params, environment, episodes: 200, device });
    return returns.reduce((a, b) => a + b, 0) / returns.length;
  };
  const ours = await learn("gated", gtrxl(sizes).body, 4e-3);
  const plain = await learn("plain", canonical(), 4e-3);
  return resultOf({
    measure: `return in a T-maze of length ${length}, 4 at most, 1.95 without memory`,
    better: "more",
    ours,
    plain,
    plainIs: "a Transformer-XL: norms behind residual sums, no gates; as many parameters, the same initialisation",
    target: 3.5,
    size: `${layers} layers of ${modelWidth}, ${rollOuts} roll-outs of ${rows} × ${steps} steps`,
    paper: "DMLab-30, 12 layers: human-normalised score 117.6 with GRU gates, 5.0 of the canonical Transformer-XL",
  });
});
