import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { postNormBlock, preNormBlock } from "../../blocks/block.ts";
import type { HaltingOptions } from "../../depth/act.ts";
import type { FinalNorm, StackParams } from "../../depth/layers.ts";
import { shared } from "../../depth/shared.ts";
import { defaultPonderWeight, type UniversalParams, universal } from "../../depth/universal.ts";
import type { Block, Depth, Mixer } from "../../kinds/index.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { glorotUniform, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { stepSignals } from "../../position/step-signals.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  depthCount,
  ffnWidthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";

/** How often the block is applied to a position. */
export type RecurrenceOptions = {
  /** Every position makes all steps: there is no halting unit and no ponder loss. Default: each halts by itself. */
  readonly fixedSteps?: true;
  /** When positions halt and what becomes of their states; not together with fixed steps. */
  readonly halting?: Omit<HaltingOptions, "maxSteps">;
  /** Of the ponder loss; not together with fixed steps. Default: 0.01. */
  readonly ponderWeight?: number;
  /** Norms stand before the sublayers, and one behind the last step, as in the authors' code. Default: behind the residual sums. */
  readonly preNorm?: true;
};

export type UniversalTransformerOptions = RecurrenceOptions & {
  readonly vocabularySize: number;
  /** How often the block is applied at most. */
  readonly layers: number;
  readonly modelWidth: number;
  /** Of softmax attention; a mixer brings its own. */
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** How positions exchange information; must be causal. Default: softmax attention. */
  readonly mixer?: Mixer;
  readonly dropoutRate?: number;
  /** Of the norms. Default: 1e-6. */
  readonly epsilon?: number;
};

/** The parameters of the one block, and of its halting unit where positions halt by themselves. */
export type RecurrentParams = StackParams & Partial<Pick<UniversalParams, "halt">>;

/**
 * Universal Transformer as a language model: one block, applied to every position a fixed number of times or, with adaptive computation
 * time, as often as the position wants, its input marked with position and step each time.
 *
 * `a = norm(s + attention(s))`, `s ← norm(a + ffn(a))`, `s` being the state plus its signals; see `universal` for the halting.
 *
 * @source Dehghani et al. 2019, "Universal Transformers", arXiv:1807.03819
 * @differs decoder only; `universalEncoderDecoder` is the paper's form. Linear layers begin Glorot-uniform, as in `transformer`
 * @throws TypeError for fixed steps together with options of halting
 */
export function universalTransformer(
  options: UniversalTransformerOptions,
): LanguageModel<DecoderParams<RecurrentParams>> {
  return decoder(universalTransformerParts(options));
}

/** The parts of which {@link universalTransformer} is put together. */
export function universalTransformerParts(options: UniversalTransformerOptions): DecoderParts<RecurrentParams> {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-6 } = options;
  const { ffnWidth = 4 * modelWidth } = options;
  requireSizes("universal-transformer", options, { vocabularySize, layers, ffnWidth });
  const initial = glorotUniform();
  const norm = layerNorm({ epsilon });
  const block = (options.preNorm ? preNormBlock : postNormBlock)<unknown, unknown>({
    modelWidth,
    norm,
    mixer: options.mixer ?? attention({ modelWidth, heads, dropoutRate, initial }),
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial }),
  });
  return {
    name: "universal-transformer",
    vocabularySize,
    width: modelWidth,
    tokens: scaledEmbedding(
      embedding(vocabularySize, modelWidth, normalInitial(modelWidth ** -0.5)),
      Math.sqrt(modelWidth),
    ),
    layerPositions: stepSignals(modelWidth),
    dropoutRate,
    depth: recurrence("universal-transformer", options)(
      new Array<Block>(layers).fill(block),
      options.preNorm ? { finalNorm: norm(modelWidth) } : {},
    ),
  };
}

/**
 * The depth of a Universal Transformer: the first of `blocks` as many times as there are.
 *
 * @param name of the model, for errors
 * @throws TypeError for fixed steps together with options of halting
 */
export function recurrence(
  name: string,
  { fixedSteps, halting, ponderWeight, modelWidth }: RecurrenceOptions & { readonly modelWidth: number },
): (blocks: readonly Block[], options?: FinalNorm) => Depth<RecurrentParams> {
  const idle = Object.keys(present({ halting, ponderWeight }));
  if (fixedSteps && idle.length > 0)
    throw new TypeError(`${name}: with fixed steps no position halts by itself; leave out ${idle.join(" and ")}`);
  if (fixedSteps) return shared;
  const how = { ...halting, ...present({ ponderWeight }), modelWidth };
  return (blocks, options) => universal(blocks[0]!, { ...how, ...options, maxSteps: blocks.length });
}

export type RecurrenceSettings = {
  readonly halts?: boolean;
  readonly ponderWeight?: number;
  readonly preNorm?: boolean;
};

/** The options of {@link RecurrenceSettings}. */
export function recurrenceOptions(): {
  readonly halts: z.ZodDefault<z.ZodBoolean>;
  readonly ponderWeight: z.ZodOptional<z.ZodNumber>;
  readonly preNorm: z.ZodDefault<z.ZodBoolean>;
} {
  return {
    halts: z
      .boolean()
      .default(true)
      .describe("whether each position halts by itself; otherwise all make as many steps, without a ponder loss"),
    ponderWeight: z
      .number()
      .nonnegative()
      .optional()
      .describe(`weight of the ponder loss, where positions halt. Default: ${defaultPonderWeight}`),
    preNorm: z
      .boolean()
      .default(false)
      .describe("whether norms stand before the sublayers, as in the authors' code, instead of behind the sums"),
  };
}

/** Settings of a model as its options. */
export function withRecurrence<Settings extends RecurrenceSettings>({
  halts,
  preNorm,
  ...rest
}: Settings): Omit<Settings, "halts" | "preNorm"> & Pick<RecurrenceOptions, "fixedSteps" | "preNorm"> {
  return { ...rest, ...(halts === false && { fixedSteps: true }), ...(preNorm && { preNorm }) };
}

export type UniversalTransformerSettings = StackSettings & RecurrenceSettings & { readonly ffnWidth?: number };

export const universalTransformerEntry: DecoderEntry<"universal-transformer", UniversalTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "universal-transformer",
    title: "Universal Transformer",
    year: 2019,
    paper: "Dehghani et al. 2019, Universal Transformers, arXiv:1807.03819",
    summary: "one block, applied to every position until it halts (ACT)",
    formula: "s ← block(s + PE[t] + PE[n]); stop when Σσ(w·s + b) > 1 − ε; y = Σ w_n·s_n",
    cost: "O(n²·d) time a step, O(n·d) memory",
    category: "decoder",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        layers: depthCount().default(6).describe("how often the block is applied at most"),
        ffnWidth: ffnWidthOption(),
        ...recurrenceOptions(),
      }),
    make: (settings) => universalTransformer(withRecurrence(present(settings))),
  });
