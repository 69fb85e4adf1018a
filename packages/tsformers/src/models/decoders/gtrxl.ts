import * as z from "zod";
import { slidingWindow } from "../../attention/patterns/window.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { gatedBlock } from "../../blocks/gated-block.ts";
import { blockStack } from "../../depth/stack.ts";
import { segmentMemory } from "../../memory/segment-memory.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import {
  type Gate,
  type GateOptions,
  gruGate,
  highwayGate,
  inputGate,
  outputGate,
  residualGate,
  sigTanhGate,
} from "../../nn/gate.ts";
import { linearHead } from "../../nn/head.ts";
import { glorotUniform, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { headWidthOf, requireSizes } from "../../nn/sizes.ts";
import { transformerXlScores } from "../../position/transformer-xl.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import { type DecoderEntry, ffnWidthOption, modelEntry, type StackSettings, stackOptions } from "../model-entry.ts";

export type GtrxlOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: modelWidth / heads. */
  readonly headWidth?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** M: every query sees itself and this many positions before it, as far as they were read. */
  readonly memoryLength: number;
  /** Makes the gate of each sublayer. Default: {@link gruGate}; with {@link residualGate} the model is the paper's TrXL-I. */
  readonly gate?: (options: GateOptions) => Gate<unknown>;
  /** b_g, the initial bias of gates: the larger, the less of a sublayer passes at first. Default: 2. */
  readonly gateBias?: number;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/**
 * GTrXL: a Transformer-XL whose sublayers are gated, made for agents that learn by reinforcement.
 *
 * `y = ReLU(attention(norm([SG(m), x])))`, `x ← gate₁(x, y)`; `e = ReLU(ffn(norm(x)))`, `x ← gate₂(x, e)`, with the relative
 * positions of Transformer-XL. Norms stand before the sublayers only, and a fresh gate passes little of y: at first the model is
 * nearly the identity, so that an agent learns to react before it learns to remember. No norm follows the last layer.
 *
 * Every query sees equally far, however far into its segment it stands: reading step by step gives what reading whole segments gives.
 *
 * @source Parisotto et al. 2020, "Stabilizing Transformers for Reinforcement Learning", §3, arXiv:1910.06764
 * @differs the paper does not say how matrices are initialised: here by Glorot and Bengio's rule, as rllib's are
 */
export function gtrxl(options: GtrxlOptions): LanguageModel<DecoderParams> {
  return decoder(gtrxlParts(options));
}

/** The parts of which {@link gtrxl} is put together. */
export function gtrxlParts(options: GtrxlOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, memoryLength, dropoutRate = 0, epsilon = 1e-5 } = options;
  const { ffnWidth = 4 * modelWidth, gate = gruGate, gateBias = 2 } = options;
  requireSizes("gtrxl", options, { vocabularySize, layers, ffnWidth, memoryLength });
  const headWidth = headWidthOf("gtrxl", options);
  const initial = glorotUniform();
  const projections = { bias: false, dropoutRate, initial };
  const mixer = segmentMemory(attention({ modelWidth, heads, headWidth, ...projections }), {
    length: memoryLength,
    modelWidth,
  });
  const block = gatedBlock<unknown, unknown, unknown>({
    modelWidth,
    norm: layerNorm({ epsilon }),
    mixer,
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial }),
    gate: gate({ modelWidth, bias: gateBias, initial }),
  });
  const tokens = embedding(vocabularySize, modelWidth, normalInitial(modelWidth ** -0.5));
  return {
    name: "gtrxl",
    vocabularySize,
    width: modelWidth,
    tokens: scaledEmbedding(tokens, Math.sqrt(modelWidth)),
    scores: transformerXlScores({ layers, modelWidth, heads, headWidth, initial }),
    pattern: slidingWindow({ before: memoryLength, after: 0 }),
    dropoutRate,
    depth: blockStack(Array.from({ length: layers }, () => block)),
    head: linearHead(modelWidth, vocabularySize, { bias: true, initial }),
  };
}

type GateName = "gru" | "input" | "output" | "highway" | "sigmoid-tanh" | "none";

const gates: Readonly<Record<GateName, NonNullable<GtrxlOptions["gate"]>>> = {
  gru: gruGate,
  input: inputGate,
  output: outputGate,
  highway: highwayGate,
  "sigmoid-tanh": sigTanhGate,
  none: residualGate,
};

export type GtrxlSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly memoryLength?: number;
  readonly gate?: GateName;
  readonly gateBias?: number;
};

export const gtrxlEntry: DecoderEntry<"gtrxl", GtrxlSettings> = /* @__PURE__ */ modelEntry({
  name: "gtrxl",
  title: "GTrXL",
  year: 2020,
  paper: "Parisotto et al. 2020, Stabilizing Transformers for Reinforcement Learning, arXiv:1910.06764",
  summary: "a Transformer-XL with gates in place of residual sums, for agents",
  formula: "x ← (1 − z) ∘ x + z ∘ ĥ(x, ReLU(sublayer(norm(x)))), z = σ(y·W_z + x·U_z − b)",
  cost: "O(n·m·d + n·d²) time, O((n + m)·d) memory, m = memoryLength",
  serves: ["segments"],
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption(),
      memoryLength: positionCount().default(128).describe("positions before its own that each query sees"),
      gate: z
        .enum(Object.keys(gates) as [GateName, ...GateName[]])
        .default("gru")
        .describe("what joins a sublayer to the stream; none is the plain sum"),
      gateBias: z.number().default(2).describe("initial bias of gates: the larger, the less passes at first"),
    }),
  make: ({ gate, ...settings }) => gtrxl({ ...present(settings), gate: gates[gate] }),
});
