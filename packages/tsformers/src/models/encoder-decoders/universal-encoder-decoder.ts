import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import type { CrossBlock } from "../../blocks/cross-block.ts";
import type { Block } from "../../kinds/index.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { glorotUniform, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { stepSignals } from "../../position/step-signals.ts";
import { present } from "../../schema/present.ts";
import {
  type RecurrenceOptions,
  type RecurrenceSettings,
  recurrence,
  recurrenceOptions,
  withRecurrence,
} from "../decoders/universal-transformer.ts";
import { type EncoderDecoderParams, type EncoderDecoderParts, encoderDecoder } from "../encoder-decoder.ts";
import {
  depthCount,
  type EncoderDecoderEntry,
  ffnWidthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import type { SequenceToSequence } from "../sequence-to-sequence.ts";
import { postNorm, preNorm } from "./transformer.ts";

export type UniversalEncoderDecoderOptions = RecurrenceOptions & {
  /** Of source and target together. */
  readonly vocabularySize: number;
  /** How often the block of each side is applied at most. */
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  readonly dropoutRate?: number;
  /** Of the norms. Default: 1e-6. */
  readonly epsilon?: number;
};

/**
 * Universal Transformer as the paper has it: a block that reads the source and one that writes the target, each applied to every position
 * a fixed number of times or as often as the position wants, its input marked with position and step each time.
 *
 * Encoder: `a = norm(s + attention(s))`, `s ← norm(a + ffn(a))`, `s` being the state plus its signals. The decoder also looks at the last
 * state of the encoder: `a ← norm(a + attention(a, source))`. Both sides halt on their own; their ponder losses are added up.
 *
 * @source Dehghani et al. 2019, "Universal Transformers", §2, arXiv:1807.03819
 * @differs linear layers begin Glorot-uniform, as in `transformer`; the paper does not say
 * @throws TypeError for fixed steps together with options of halting
 */
export function universalEncoderDecoder(
  options: UniversalEncoderDecoderOptions,
): SequenceToSequence<EncoderDecoderParams> {
  return encoderDecoder(universalEncoderDecoderParts(options));
}

/** The parts of which {@link universalEncoderDecoder} is put together. */
export function universalEncoderDecoderParts(options: UniversalEncoderDecoderOptions): EncoderDecoderParts {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-6 } = options;
  const { ffnWidth = 4 * modelWidth } = options;
  requireSizes("universal-encoder-decoder", options, { vocabularySize, layers, ffnWidth });
  const norm = layerNorm({ epsilon });
  const initial = glorotUniform();
  const mixer = attention({ modelWidth, heads, dropoutRate, initial });
  const ffn = mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial });
  const { block, crossBlock, finalNorms } = options.preNorm ? preNorm : postNorm;
  const parts = { modelWidth, norm, mixer, ffn };
  return {
    name: "universal-encoder-decoder",
    vocabularySize,
    tokens: scaledEmbedding(
      embedding(vocabularySize, modelWidth, normalInitial(modelWidth ** -0.5)),
      Math.sqrt(modelWidth),
    ),
    layerPositions: stepSignals(modelWidth),
    dropoutRate,
    encoder: new Array<Block>(layers).fill(block(parts)),
    decoder: new Array<CrossBlock>(layers).fill(crossBlock({ ...parts, cross: mixer })),
    ...(finalNorms && { encoderNorm: norm(modelWidth), decoderNorm: norm(modelWidth) }),
    depth: recurrence("universal-encoder-decoder", options),
  };
}

export type UniversalEncoderDecoderSettings = StackSettings & RecurrenceSettings & { readonly ffnWidth?: number };

export const universalEncoderDecoderEntry: EncoderDecoderEntry<
  "universal-encoder-decoder",
  UniversalEncoderDecoderSettings
> = /* @__PURE__ */ modelEntry({
  name: "universal-encoder-decoder",
  title: "Universal Transformer, encoder-decoder",
  year: 2019,
  paper: "Dehghani et al. 2019, Universal Transformers, arXiv:1807.03819",
  summary: "a block that reads and one that writes, each applied to every position until it halts (ACT)",
  formula: "s ← block(s + PE[t] + PE[n]); stop when Σσ(w·s + b) > 1 − ε; y = Σ w_n·s_n",
  cost: "O(n²·d) time a step, O(n·d) memory",
  category: "encoder-decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      layers: depthCount().default(6).describe("how often the block of each side is applied at most"),
      ffnWidth: ffnWidthOption(),
      ...recurrenceOptions(),
    }),
  make: (settings) => universalEncoderDecoder(withRecurrence(present(settings))),
});
