import type { NDArray, Tree } from "@tsformers/engine";
import { attention } from "../attention/softmax/attention.ts";
import { preNormBlock } from "../blocks/block.ts";
import { blockStack } from "../depth/stack.ts";
import { type DecoderParams, decoder } from "../models/decoder.ts";
import { type EncoderDecoderParams, encoderDecoder } from "../models/encoder-decoder.ts";
import { preNorm, transformerStacks } from "../models/encoder-decoders/transformer.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { embedding } from "../nn/embedding.ts";
import { mlp, relu } from "../nn/feed-forward.ts";
import { linearHead } from "../nn/head.ts";
import { layerNorm } from "../nn/norm.ts";
import { learned } from "../position/learned.ts";
import { unbatched } from "./hugging-face/layout.ts";
import { arrayName, layerNames, type NameRule, readNames } from "./hugging-face/names.ts";

export type TraxOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  readonly ffnWidth: number;
  /** Positions of the stored position tables. */
  readonly length: number;
};

const epsilon = 1e-6;

/**
 * Trax's TransformerLM: a pre-norm ReLU decoder with stored position tables. Its inputs are shifted right: they begin with 0, and
 * leave out the last token.
 */
export function traxLanguageModel(options: TraxOptions): LanguageModel<DecoderParams> {
  const { vocabularySize, layers, modelWidth, heads, ffnWidth, length } = options;
  const norm = layerNorm({ epsilon });
  const block = preNormBlock({
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads }),
    ffn: mlp({ modelWidth, ffnWidth, activation: relu }),
  });
  return decoder({
    name: "trax",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth),
    positions: learned(length, modelWidth),
    depth: blockStack(
      Array.from({ length: layers }, () => block),
      { finalNorm: norm(modelWidth) },
    ),
    head: linearHead(modelWidth, vocabularySize, { bias: true }),
  });
}

/** Trax's Transformer: pre-norm, one embedding for source and target, stored position tables, a separate output matrix. */
export function traxTransformer(options: TraxOptions): SequenceToSequence<EncoderDecoderParams> {
  const { vocabularySize, modelWidth, length } = options;
  return encoderDecoder({
    vocabularySize,
    tokens: embedding(vocabularySize, modelWidth),
    sourcePositions: learned(length, modelWidth),
    targetPositions: learned(length, modelWidth),
    ...transformerStacks({ ...options, arrangement: preNorm, activation: relu, epsilon }),
    head: linearHead(modelWidth, vocabularySize, { bias: true }),
  });
}

/** Parameters of {@link traxLanguageModel}. @throws Error listing arrays that are missing, unknown or misshapen */
export function readTraxLanguageModel(
  options: TraxOptions,
  arrays: ReadonlyMap<string, NDArray>,
  source: string,
): Tree<NDArray> {
  const rules = [
    ...commonNames(options),
    tableName("pos", "positions.weight", options),
    ...layerNames(options.layers, (i) => encoderLayerNames(`blocks.${i}`, `blocks.${i}`, options)),
    ...normNames("ln_f", "finalNorm", options.modelWidth),
  ];
  return readNames(rules, arrays, source);
}

/** Parameters of {@link traxTransformer}. @throws Error listing arrays that are missing, unknown or misshapen */
export function readTraxTransformer(
  options: TraxOptions,
  arrays: ReadonlyMap<string, NDArray>,
  source: string,
): Tree<NDArray> {
  const { layers, modelWidth } = options;
  const rules = [
    ...commonNames(options),
    tableName("enc_pos", "sourcePositions.weight", options),
    tableName("dec_pos", "targetPositions.weight", options),
    ...layerNames(layers, (i) => encoderLayerNames(`enc.${i}`, `encoder.blocks.${i}`, options)),
    ...normNames("enc_ln", "encoder.finalNorm", modelWidth),
    ...layerNames(layers, (i) => {
      const [theirs, ours] = [`dec.${i}`, `decoder.blocks.${i}`];
      return [
        ...normNames(`${theirs}.self_ln`, `${ours}.mixerNorm`, modelWidth),
        ...attentionNames(`${theirs}.self`, `${ours}.mixer`, modelWidth),
        ...normNames(`${theirs}.cross_ln`, `${ours}.crossNorm`, modelWidth),
        ...attentionNames(`${theirs}.cross`, `${ours}.cross`, modelWidth),
        ...ffnNames(theirs, ours, options),
      ];
    }),
    ...normNames("dec_ln", "decoder.finalNorm", modelWidth),
  ];
  return readNames(rules, arrays, source);
}

function commonNames({ vocabularySize, modelWidth }: TraxOptions): NameRule[] {
  return [
    arrayName("emb", "tokens.weight", [vocabularySize, modelWidth]),
    ...linearNames("out", "head", modelWidth, vocabularySize),
  ];
}

function tableName(theirs: string, ours: string, { length, modelWidth }: TraxOptions): NameRule {
  return { theirs, shape: [1, length, modelWidth], ours: [ours], layout: unbatched };
}

function encoderLayerNames(theirs: string, ours: string, options: TraxOptions): NameRule[] {
  return [
    ...normNames(`${theirs}.attn_ln`, `${ours}.mixerNorm`, options.modelWidth),
    ...attentionNames(`${theirs}.attn`, `${ours}.mixer`, options.modelWidth),
    ...ffnNames(theirs, ours, options),
  ];
}

function attentionNames(theirs: string, ours: string, width: number): NameRule[] {
  const parts = { q: "query", k: "key", v: "value", o: "out" };
  return Object.entries(parts).flatMap(([short, part]) =>
    linearNames(`${theirs}.${short}`, `${ours}.${part}`, width, width),
  );
}

function ffnNames(theirs: string, ours: string, { modelWidth, ffnWidth }: TraxOptions): NameRule[] {
  return [
    ...normNames(`${theirs}.ff_ln`, `${ours}.ffnNorm`, modelWidth),
    ...linearNames(`${theirs}.ff1`, `${ours}.ffn.in`, modelWidth, ffnWidth),
    ...linearNames(`${theirs}.ff2`, `${ours}.ffn.out`, ffnWidth, modelWidth),
  ];
}

/** Weights are [in, out] there too. */
function linearNames(theirs: string, ours: string, inWidth: number, outWidth: number): NameRule[] {
  return [
    arrayName(`${theirs}.w`, `${ours}.weight`, [inWidth, outWidth]),
    arrayName(`${theirs}.b`, `${ours}.bias`, [outWidth]),
  ];
}

function normNames(theirs: string, ours: string, width: number): NameRule[] {
  return [
    arrayName(`${theirs}.scale`, `${ours}.weight`, [width]),
    arrayName(`${theirs}.bias`, `${ours}.bias`, [width]),
  ];
}
