import { cast, constant, cumsum, mul, ndarray, reshape, sub, type Tensor } from "@tsformers/engine";
import { z } from "zod";
import { normedResidualBlock, preNormBlock } from "../../blocks/block.ts";
import { decoder } from "../../models/decoder.ts";
import { bloomParts } from "../../models/decoders/bloom.ts";
import { linearHead } from "../../nn/head.ts";
import { alibiSlopes } from "../../position/alibi.ts";
import { present } from "../../schema/present.ts";
import { count, endTokens, epsilon, layerCount, parseConfig, standard } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, type Probe, tiedHeadNames } from "./format.ts";
import { arrayName, fusedLinearNames, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: standard(count, 250_880),
  hidden_size: standard(count, 64),
  n_layer: standard(layerCount, 2),
  n_head: standard(count, 8),
  layer_norm_epsilon: standard(epsilon, 1e-5),
  apply_residual_connection_post_layernorm: standard(z.boolean(), false),
  tie_word_embeddings: standard(z.boolean(), true),
  eos_token_id: endTokens(2),
});

const aliases = { num_hidden_layers: "n_layer", num_attention_heads: "n_head", n_embed: "hidden_size" };

/** BLOOM checkpoints. Queries, keys and values of each head are interleaved in one matrix. */
export const bloom: Format = {
  modelType: "bloom",
  architectures: ["BloomForCausalLM"],
  prefix: "transformer.",
  shared: [tiedHeadNames("transformer.word_embeddings.weight")],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json, aliases);
    const [width, vocabulary, layers, heads] = [c.hidden_size, c.vocab_size, c.n_layer, c.n_head];
    const parts = bloomParts({
      vocabularySize: vocabulary,
      layers,
      modelWidth: width,
      heads,
      block: c.apply_residual_connection_post_layernorm ? normedResidualBlock : preNormBlock,
      epsilon: c.layer_norm_epsilon,
    });
    const tie = c.tie_word_embeddings && !ownHead;
    const model = decoder({
      ...parts,
      ...(!tie && { head: linearHead(width, vocabulary) }),
      ...present({ makeView }),
    });
    return {
      model,
      category: "decoder",
      names: [
        arrayName("transformer.word_embeddings.weight", "tokens.weight", [vocabulary, width]),
        ...normNames("transformer.word_embeddings_layernorm", "embeddingNorm", width),
        ...layerNames(layers, (i) => {
          const [theirs, ours] = [`transformer.h.${i}`, `blocks.${i}`];
          const fused = `${theirs}.self_attention.query_key_value`;
          const qkv = ["query", "key", "value"].map((part) => `${ours}.mixer.${part}`);
          return [
            ...normNames(`${theirs}.input_layernorm`, `${ours}.mixerNorm`, width),
            ...fusedLinearNames([`${fused}.weight`, `${fused}.bias`], qkv, width, width, heads),
            ...linearNames(`${theirs}.self_attention.dense`, `${ours}.mixer.out`, width, width),
            ...normNames(`${theirs}.post_attention_layernorm`, `${ours}.ffnNorm`, width),
            ...linearNames(`${theirs}.mlp.dense_h_to_4h`, `${ours}.ffn.in`, width, 4 * width),
            ...linearNames(`${theirs}.mlp.dense_4h_to_h`, `${ours}.ffn.out`, 4 * width, width),
          ];
        }),
        ...normNames("transformer.ln_f", "finalNorm", width),
        ...(tie ? [] : linearNames("lm_head", "head", width, vocabulary, false)),
      ],
      endTokens: c.eos_token_id,
      probe: withBias(languageModelProbe(model), heads),
    };
  },
};

/** Adds the reference's own form of the bias, `slope · key position`, which differs from ours by a constant per query. */
function withBias(probe: Probe, heads: number): Probe {
  return {
    ...probe,
    run: (params, inputs, context, what) => {
      const mask = inputs.attention_mask;
      const outputs = probe.run(params, inputs, context, what);
      return mask === undefined ? outputs : { ...outputs, alibi: keyBias(mask, heads) };
    },
  };
}

/** Position of each key in its row, for every head: [B, S] → [B, H, 1, S] */
function keyBias(mask: Tensor, heads: number): Tensor {
  const real = cast(mask, "float32");
  const positions = mul(sub(cumsum(real, 1), 1), real);
  const slopes = reshape(constant(ndarray(alibiSlopes(heads))), [1, heads, 1, 1]);
  return mul(slopes, reshape(positions, [mask.shape[0]!, 1, 1, mask.shape[1]!]));
}
