import { sub } from "@tsformers/engine";
import { z } from "zod";
import {
  type LongformerOptions,
  type LongformerParams,
  longformer as longformerModel,
} from "../../models/encoders/longformer.ts";
import { meanCrossEntropy } from "../../nn/cross-entropy.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { FileError } from "../file-error.ts";
import { bertLayerNames } from "./bert.ts";
import { activationName, configFile, count, epsilon, layerCount, parseConfig, standard, tokenId } from "./config.ts";
import { numbered } from "./decoder-probe.ts";
import { type Format, labelInput, type Probe, positionInput, tiedHeadNames, tokenInput } from "./format.ts";
import { globalInputs, longformerMaps, mostGlobals } from "./longformer-maps.ts";
import { arrayName, layerNames, linearNames, type NameRule, normNames } from "./names.ts";

const window = z.int().min(2).max(1_000_000).multipleOf(2);

/** A window for all layers, or one for each. */
export const attentionWindow: z.ZodType<number | number[]> = standard(z.union([window, z.array(window)]), 512);

const config = z.looseObject({
  vocab_size: standard(count, 30_522),
  hidden_size: standard(count, 768),
  num_hidden_layers: standard(layerCount, 12),
  num_attention_heads: standard(count, 12),
  intermediate_size: standard(count, 3072),
  hidden_act: standard(activationName, "gelu"),
  max_position_embeddings: standard(count, 512),
  type_vocab_size: standard(count, 2),
  layer_norm_eps: standard(epsilon, 1e-12),
  pad_token_id: tokenId(1),
  attention_window: attentionWindow,
  tie_word_embeddings: standard(z.boolean(), true),
});

const words = "longformer.embeddings.word_embeddings.weight";

/** Longformer checkpoints: masked language models. Which tokens are global is an input; without it, none is. */
export const longformer: Format = {
  modelType: "longformer",
  architectures: ["LongformerForMaskedLM"],
  prefix: "longformer.",
  ignored: /(\.position_ids|\.pooler\.dense\.(weight|bias))$/,
  shared: [
    tiedHeadNames(words, "lm_head.decoder.weight"),
    { names: ["lm_head.bias", "lm_head.decoder.bias"], first: "lm_head.decoder.bias" },
  ],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json);
    const [width, vocabulary, types, positions] = [
      c.hidden_size,
      c.vocab_size,
      c.type_vocab_size,
      c.max_position_embeddings,
    ];
    const padding = c.pad_token_id;
    if (padding === undefined || padding > positions - 2)
      throw new FileError(
        configFile,
        `"pad_token_id": positions begin behind it, so it must be from 0 to ${positions - 2}, got ${JSON.stringify(json.pad_token_id)}`,
      );
    const tied = c.tie_word_embeddings && !ownHead;
    const output: Head | undefined = tied ? undefined : (linearHead(width, vocabulary, { bias: true }) as Head);
    const options = {
      vocabularySize: vocabulary,
      layers: c.num_hidden_layers,
      modelWidth: width,
      heads: c.num_attention_heads,
      length: positions - padding - 1,
      windows: windowsOf(c.attention_window, c.num_hidden_layers),
      globals: [],
      types,
      ffnWidth: c.intermediate_size,
      activation: c.hidden_act,
      epsilon: c.layer_norm_eps,
      padding,
      ...present({ makeView, output }),
    };
    return {
      model: longformerModel(options),
      category: "encoder",
      names: [
        arrayName(words, "tokens.weight", [vocabulary, width]),
        arrayName("longformer.embeddings.position_embeddings.weight", "positions.weight", [positions, width]),
        arrayName("longformer.embeddings.token_type_embeddings.weight", "types.weight", [types, width]),
        ...normNames("longformer.embeddings.LayerNorm", "embeddingNorm", width),
        ...bertLayerNames("longformer.encoder.layer", c.num_hidden_layers, width, c.intermediate_size),
        ...layerNames(c.num_hidden_layers, (i) =>
          globalNames(`longformer.encoder.layer.${i}.attention.self`, `blocks.${i}.mixer`, width),
        ),
        ...linearNames("lm_head.dense", "head.dense", width, width),
        ...normNames("lm_head.layer_norm", "head.norm", width),
        ...(tied
          ? [arrayName("lm_head.bias", "head.output.bias", [vocabulary])]
          : linearNames("lm_head.decoder", "head.output", width, vocabulary)),
      ],
      length: options.length,
      probe: probe(options),
    };
  },
};

/** @throws FileError for a list of windows that is not one for each layer */
export function windowsOf(given: number | readonly number[], layers: number): readonly number[] {
  const windows = typeof given === "number" ? new Array<number>(layers).fill(given) : given;
  if (windows.length === layers) return windows;
  throw new FileError(
    configFile,
    `"attention_window": expected one for each of ${layers} layers, got ${windows.length}`,
  );
}

/** The names of the projections of global tokens. */
export function globalNames(theirs: string, ours: string, width: number): NameRule[] {
  return [
    ...linearNames(`${theirs}.query_global`, `${ours}.globalQuery`, width, width),
    ...linearNames(`${theirs}.key_global`, `${ours}.globalKey`, width, width),
    ...linearNames(`${theirs}.value_global`, `${ours}.globalValue`, width, width),
  ];
}

type ProbeOptions = LongformerOptions & {
  readonly windows: readonly number[];
  readonly types: number;
  readonly padding: number;
};

function probe(options: ProbeOptions): Probe {
  const { vocabularySize, padding, windows } = options;
  return {
    inputs: {
      input_ids: tokenInput(vocabularySize),
      ...globalInputs,
      token_type_ids: tokenInput(options.types),
      position_ids: positionInput,
      labels: labelInput(vocabularySize),
    },
    staticOf: mostGlobals,
    run: (params, inputs, context, about) => {
      const { input_ids: tokens, attention_mask: mask, token_type_ids: types, position_ids, labels } = inputs;
      if (tokens === undefined) throw new Error("expected input_ids [B, T]");
      const count = Number(about.mostGlobals ?? 0);
      const globals = count === 0 ? undefined : inputs.global_attention_mask;
      const positions = position_ids && sub(position_ids, padding + 1);
      const model = longformerModel(count === 0 ? options : { ...options, maxGlobals: count });
      const input = { tokens, ...present({ mask, globals, types, positions }) };
      const out = model.apply(params as LongformerParams, input, context);
      return {
        logits: out.logits,
        ...numbered("hidden_", out.hidden),
        hidden_last: out.x,
        ...longformerMaps(out.maps, "", { inputs, count, windows }),
        ...(labels !== undefined && { loss: meanCrossEntropy(out.logits, labels) }),
      };
    },
  };
}
