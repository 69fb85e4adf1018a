import { z } from "zod";
import { type LedOptions, led as ledModel } from "../../models/encoder-decoders/led.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, endTokens, layerCount, parseConfig, standard, tokenId } from "./config.ts";
import type { Format, Probe } from "./format.ts";
import { attentionWindow, globalNames, windowsOf } from "./longformer.ts";
import { globalInputs, longformerMaps, mostGlobals } from "./longformer-maps.ts";
import { arrayName, layerNames, linearNames, type NameRule, normNames } from "./names.ts";
import { sequenceToSequenceInputs, sequenceToSequencePass } from "./sequence-to-sequence-probe.ts";

const config = z.looseObject({
  vocab_size: standard(count, 50_265),
  d_model: standard(count, 1024),
  encoder_layers: standard(layerCount, 12),
  encoder_attention_heads: standard(count, 16),
  encoder_ffn_dim: standard(count, 4096),
  decoder_layers: standard(layerCount, 12),
  decoder_attention_heads: standard(count, 16),
  decoder_ffn_dim: standard(count, 4096),
  activation_function: standard(activationName, "gelu"),
  max_encoder_position_embeddings: standard(count, 16_384),
  max_decoder_position_embeddings: standard(count, 1024),
  attention_window: attentionWindow,
  decoder_start_token_id: standard(z.int().min(0), 2),
  pad_token_id: tokenId(1),
  eos_token_id: endTokens(2),
  tie_word_embeddings: standard(z.boolean(), true),
});

const aliases = {
  hidden_size: "d_model",
  num_attention_heads: "encoder_attention_heads",
  num_hidden_layers: "encoder_layers",
};

const words = "led.shared.weight";

/** LED checkpoints. Which tokens of the source are global is an input; without it, none is. */
export const led: Format = {
  modelType: "led",
  architectures: ["LEDForConditionalGeneration"],
  prefix: "led.",
  zeros: /(^|\.)final_logits_bias$/,
  shared: [
    {
      names: [words, "led.encoder.embed_tokens.weight", "led.decoder.embed_tokens.weight", "lm_head.weight"],
      head: "lm_head.weight",
    },
  ],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json, aliases);
    const [width, vocabulary] = [c.d_model, c.vocab_size];
    const [sourceLength, targetLength] = [c.max_encoder_position_embeddings, c.max_decoder_position_embeddings];
    const head: Head | undefined = ownHead ? (linearHead(width, vocabulary) as Head) : undefined;
    const options = {
      vocabularySize: vocabulary,
      layers: c.encoder_layers,
      decoderLayers: c.decoder_layers,
      modelWidth: width,
      heads: c.encoder_attention_heads,
      decoderHeads: c.decoder_attention_heads,
      ffnWidth: c.encoder_ffn_dim,
      decoderFfnWidth: c.decoder_ffn_dim,
      sourceLength,
      targetLength,
      windows: windowsOf(c.attention_window, c.encoder_layers),
      globals: [],
      activation: c.activation_function,
      ...present({ makeView, head, padding: c.pad_token_id }),
    };
    return {
      model: ledModel(options),
      category: "encoder-decoder",
      names: [
        arrayName(words, "tokens.weight", [vocabulary, width]),
        arrayName("led.encoder.embed_positions.weight", "sourcePositions.weight", [sourceLength, width]),
        ...normNames("led.encoder.layernorm_embedding", "sourceNorm", width),
        ...layerNames(c.encoder_layers, (i) => encoderNames(i, width, c.encoder_ffn_dim)),
        arrayName("led.decoder.embed_positions.weight", "targetPositions.weight", [targetLength, width]),
        ...normNames("led.decoder.layernorm_embedding", "targetNorm", width),
        ...layerNames(c.decoder_layers, (i) => decoderNames(i, width, c.decoder_ffn_dim)),
        ...(ownHead ? linearNames("lm_head", "head", width, vocabulary, false) : []),
      ],
      length: Math.min(sourceLength, targetLength),
      endTokens: c.eos_token_id,
      startToken: c.decoder_start_token_id,
      probe: probe(options, { start: c.decoder_start_token_id, padding: c.pad_token_id ?? 0 }),
    };
  },
};

function encoderNames(i: number, width: number, ffnWidth: number): NameRule[] {
  const [theirs, ours] = [`led.encoder.layers.${i}`, `encoder.blocks.${i}`];
  const attention = `${theirs}.self_attn.longformer_self_attn`;
  return [
    ...linearNames(`${attention}.query`, `${ours}.mixer.query`, width, width),
    ...linearNames(`${attention}.key`, `${ours}.mixer.key`, width, width),
    ...linearNames(`${attention}.value`, `${ours}.mixer.value`, width, width),
    ...globalNames(attention, `${ours}.mixer`, width),
    ...linearNames(`${theirs}.self_attn.output`, `${ours}.mixer.out`, width, width),
    ...normNames(`${theirs}.self_attn_layer_norm`, `${ours}.mixerNorm`, width),
    ...ffnNames(theirs, ours, width, ffnWidth),
  ];
}

function decoderNames(i: number, width: number, ffnWidth: number): NameRule[] {
  const [theirs, ours] = [`led.decoder.layers.${i}`, `decoder.blocks.${i}`];
  const attention = (of: string, own: string): NameRule[] => [
    ...linearNames(`${of}.q_proj`, `${own}.query`, width, width),
    ...linearNames(`${of}.k_proj`, `${own}.key`, width, width),
    ...linearNames(`${of}.v_proj`, `${own}.value`, width, width),
    ...linearNames(`${of}.out_proj`, `${own}.out`, width, width),
  ];
  return [
    ...attention(`${theirs}.self_attn`, `${ours}.mixer`),
    ...normNames(`${theirs}.self_attn_layer_norm`, `${ours}.mixerNorm`, width),
    ...attention(`${theirs}.encoder_attn`, `${ours}.cross`),
    ...normNames(`${theirs}.encoder_attn_layer_norm`, `${ours}.crossNorm`, width),
    ...ffnNames(theirs, ours, width, ffnWidth),
  ];
}

function ffnNames(theirs: string, ours: string, width: number, ffnWidth: number): NameRule[] {
  return [
    ...linearNames(`${theirs}.fc1`, `${ours}.ffn.in`, width, ffnWidth),
    ...linearNames(`${theirs}.fc2`, `${ours}.ffn.out`, ffnWidth, width),
    ...normNames(`${theirs}.final_layer_norm`, `${ours}.ffnNorm`, width),
  ];
}

function probe(
  options: LedOptions & { readonly windows: readonly number[] },
  tokens: { readonly start: number; readonly padding: number },
): Probe {
  const { vocabularySize, windows } = options;
  return {
    inputs: { ...sequenceToSequenceInputs(vocabularySize), ...globalInputs },
    staticOf: mostGlobals,
    run: (params, inputs, context, about) => {
      const count = Number(about.mostGlobals ?? 0);
      const globals = count === 0 ? undefined : inputs.global_attention_mask;
      const model = ledModel(count === 0 ? options : { ...options, maxGlobals: count });
      const { encoded, results } = sequenceToSequencePass(model, params, inputs, { ...tokens, globals }, context);
      return { ...results, ...longformerMaps(encoded.maps, "enc_", { inputs, count, windows }) };
    },
  };
}
