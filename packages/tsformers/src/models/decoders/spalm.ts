import {
  add,
  type Concrete,
  expandDims,
  gather,
  matmul,
  mul,
  reshape,
  sigmoid,
  softmax,
  splitKey,
  sub,
  sum,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import type { EmbeddingParams } from "../../nn/embedding.ts";
import { normalInitial } from "../../nn/initial.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import { type DecoderEntry, ffnWidthOption, modelEntry, type StackSettings, stackOptions } from "../model-entry.ts";
import { projectPart } from "../project-part.ts";
import { type TransformerXlOptions, transformerXlParts } from "./transformer-xl.ts";

/** Those of a Transformer-XL, whose embeddings are one table. */
export type SpalmOptions = Omit<TransformerXlOptions, "clusters">;

export type SpalmParams = DecoderParams & {
  /** w_g, [C] */
  gate: Tensor;
};

/**
 * SPALM: a Transformer-XL that mixes its state with the embeddings of tokens that followed similar contexts elsewhere, found before by a trained
 * model that is not changed. How much it takes of them a gate decides at each position.
 *
 * `m = Σ_i softmax_i(y_i·h)·y_i` over the k neighbours, y_i being the output embedding of neighbour i, `g = σ(w_g·h)`, `z = (1 − g)·m + g·h`,
 * logits from z. Where no neighbours are given, as in writing, there is no memory, and `z = h`.
 *
 * @shape  tokens [B, T], neighbours int32 [B, T, k] → logits [B, T, V]
 * @cost   that of the Transformer-XL, O(B·T·k·C) for the gate, and the search, which is made before
 * @source Yogatama, de Masson d'Autume & Kong 2021, "Adaptive Semiparametric Language Models", §3, TACL 9, arXiv:2102.02557
 * @differs how w_g begins is not published: here as the other weights do
 */
export function spalm(options: SpalmOptions): LanguageModel<SpalmParams> {
  const { modelWidth } = options;
  const { project, trimmed: _, ...base } = decoder(spalmParts(options));
  return {
    ...base,
    ...projectPart<DecoderParams, SpalmParams>({ ...present({ project }) }),
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return {
        ...base.init(a!),
        gate: normalInitial(options.initializerRange)(b!, [modelWidth]),
      } as Concrete<SpalmParams>;
    },
    apply: (params, { neighbours, ...input }, context) => {
      const out = base.apply(params, input, context);
      if (neighbours === undefined) return out;
      requireNeighbours(neighbours, out.x);
      const { weight: embeddings } = base.body.embeddingOf(params) as EmbeddingParams;
      const { z } = gatedMemory(out.x, { embeddings, gate: params.gate, neighbours });
      return { ...out, x: z, hidden: [...out.hidden.slice(0, -1), z], logits: out.toLogits!(z) };
    },
  };
}

/** The parts of which {@link spalm} is put together, but for its gate. */
export function spalmParts(options: SpalmOptions): DecoderParts {
  return transformerXlParts(options, "spalm");
}

/** @throws TypeError saying what was expected and what came */
function requireNeighbours({ shape, dtype }: Tensor, x: Tensor): void {
  const [rows, length] = x.shape;
  if (dtype === "int32" && shape.length === 3 && shape[0] === rows && shape[1] === length) return;
  throw new TypeError(
    `spalm: expected neighbours as int32 [${rows}, ${length}, k], got ${dtype} [${shape.join(", ")}]`,
  );
}

/**
 * The gate between a state and its memory, part by part.
 *
 * @shape  h [..., C], embeddings [V, C], gate [C], neighbours int32 [..., k] → weights [..., k], memory and z [..., C], gate [...]
 */
export function gatedMemory(
  h: Tensor,
  { embeddings, gate, neighbours }: { readonly embeddings: Tensor; readonly gate: Tensor; readonly neighbours: Tensor },
): { readonly weights: Tensor; readonly memory: Tensor; readonly gate: Tensor; readonly z: Tensor } {
  const y = gather(embeddings, neighbours);
  const weights = softmax(reshape(matmul(y, expandDims(h, -1)), neighbours.shape));
  const memory = sum(mul(expandDims(weights, -1), y), { axes: -2 });
  const share = sigmoid(sum(mul(h, gate), { axes: -1 }));
  return { weights, memory, gate: share, z: add(memory, mul(expandDims(share, -1), sub(h, memory))) };
}

export type SpalmSettings = StackSettings & { readonly ffnWidth?: number; readonly memoryLength?: number };

export const spalmEntry: DecoderEntry<"spalm", SpalmSettings> = /* @__PURE__ */ modelEntry({
  name: "spalm",
  title: "SPALM",
  year: 2021,
  paper: "Yogatama, de Masson d'Autume & Kong 2021, Adaptive Semiparametric Language Models, TACL 9, arXiv:2102.02557",
  summary: "a Transformer-XL with a gate to tokens that followed similar contexts elsewhere",
  formula: "m = Σ softmax(y_i·h)·y_i; g = σ(w_g·h); z = (1 − g)·m + g·h",
  cost: "that of Transformer-XL, O(n·k·d) for the gate, and the search, which is made before",
  serves: ["segments", "next", "labelled", "matched", "tagged", "reconstructed", "points", "quantities", "masked"],
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption(),
      memoryLength: positionCount().default(128).describe("positions of earlier segments that each layer remembers"),
    }),
  make: (settings) => spalm(present(settings)),
});
