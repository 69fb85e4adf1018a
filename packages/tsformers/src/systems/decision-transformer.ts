import {
  type DecisionTransformerOptions,
  decisionTransformer,
  decisionTransformerEntry,
} from "../models/agents/decision-transformer.ts";
import type { EnvironmentShape } from "../rl/off-line/episode.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

/** What both presets act in: Gymnasium's CartPole-v1. */
const environment = {
  features: 4,
  actions: { kind: "discrete", count: 2 },
  longest: 500,
} as const satisfies EnvironmentShape;

const task = { kind: "trajectories", environment: "cartpole" } as const;

export const decisionTransformerSystem: SystemEntry<"decision-transformer"> = /* @__PURE__ */ systemEntry(
  decisionTransformerEntry,
  {
    category: "reinforcement learning",
    causal: true,
    use: "acting after recorded episodes of mixed quality: the return that is asked for chooses which of them is followed",
    sees: "all returns, states and actions of the latest K steps; an action is told before it is seen",
    differs: [
      "The paper tells no number of parameters; here they are counted for CartPole (4 features, 2 choices, 500 steps).",
      "Choices are read through an embedding by the model of the paper's continuous tasks; its Atari model has positions beside the vectors of steps, and no norm of the tokens.",
      "Optimised with AdamW and a cosine schedule in the small preset.",
    ],
    presets: {
      small: {
        about: "two layers that read 10 steps of CartPole; without data, of random episodes",
        run: {
          model: { kind: "decision-transformer", layers: 2, modelWidth: 32, heads: 1 },
          task,
          length: 10,
          steps: 600,
          batchSize: 32,
          learningRate: 3e-3,
          clip: 0.25,
        },
        vocabularySize: 1,
      },
      paper: {
        about: "the model of the continuous tasks of the paper, which reads 20 steps",
        run: {
          model: { kind: "decision-transformer", layers: 3, modelWidth: 128, heads: 1, dropoutRate: 0.1 },
          task,
          length: 20,
          steps: 100_000,
          batchSize: 64,
          optimiser: { kind: "adamw", weightDecay: 1e-4 },
          learningRate: 1e-4,
          schedule: { kind: "constant" },
          clip: 0.25,
        },
        vocabularySize: 1,
      },
    },
    // Of returns, states, choices and steps, with their norm; a token that is never read, the body, and what is told.
    parameters: ({ layers, modelWidth: C, ffnWidth }) => {
      const { features, actions, longest } = environment;
      const embedded = ofLinear(1, C) + ofLinear(features, C) + (actions.count + longest) * C + ofNorm(C);
      const body = C + layers * ofBlock(C, ffnWidth) + ofNorm(C);
      return embedded + body + ofLinear(C, actions.count) + ofLinear(C, features) + ofLinear(C, 1);
    },
    init: ({ run: { model } }, key) => {
      const { kind: _, ...sizes } = model as typeof model &
        Pick<DecisionTransformerOptions, "layers" | "modelWidth" | "heads">;
      return decisionTransformer({ ...environment, ...sizes }).init(key);
    },
    golden: ["decision_transformer"],
    source: "models/agents/decision-transformer.ts",
    example: "decision-transformer",
  },
);
