import { existsSync } from "node:fs";
import { type Concrete, flatten, full, isNdArray, NDArray, safetensorsPieces } from "@tsformers/engine";
import type { DecisionParams } from "../../models/agents/decision-model.ts";
import type { DecisionTransformerOptions } from "../../models/agents/decision-transformer.ts";
import type { GptParams } from "../../models/decoders/gpt.ts";
import { present } from "../../schema/present.ts";
import { writeFolderAtomic } from "../atomic-folder.ts";
import { FileError } from "../file-error.ts";
import { weightsFile } from "./checkpoint-files.ts";
import { decisionTransformerFormat } from "./decision-transformer.ts";
import { writeNames } from "./names.ts";

/** What Hugging Face gives such models by default; the table of positions is all zeros, as ours has none. */
const positions = 1024;

/**
 * Writes a Decision Transformer for real actions as a folder in Hugging Face's layout, completely or not at all.
 *
 * There, states and returns are read as they are, and actions lie between −1 and 1. So the normalisation of states and the scale of returns become part of the
 * weights that read them, and an action of ours is `mid + half·a`, with the bounds of the environment. States and returns that are told stay normalised.
 *
 * @param options what {@link decisionTransformer} was made with
 * @throws RangeError for choices, which Hugging Face's model does not have; FileError when there is something at the path
 */
export async function writeDecisionTransformer(
  directory: string,
  options: DecisionTransformerOptions,
  params: Concrete<DecisionParams<GptParams>>,
): Promise<void> {
  const { actions, features, longest, layers, modelWidth, heads, ffnWidth, states, returnScale = 1 } = options;
  if (actions.kind === "discrete")
    throw new RangeError(
      "writeDecisionTransformer: Hugging Face's Decision Transformers tell real actions, no choices",
    );
  if (existsSync(directory)) throw new FileError(directory, "exists already; expected the path of a new folder");
  const config = {
    model_type: decisionTransformerFormat.modelType,
    architectures: decisionTransformerFormat.architectures,
    state_dim: features,
    act_dim: actions.width,
    hidden_size: modelWidth,
    max_ep_len: longest,
    action_tanh: true,
    vocab_size: 1,
    n_positions: positions,
    n_layer: layers,
    n_head: heads,
    ...present({ n_inner: ffnWidth }),
    activation_function: "relu",
    layer_norm_epsilon: 1e-5,
    dtype: "float32",
  };
  const { names } = decisionTransformerFormat.build(config, { has: () => true, ownHead: false });
  const { leaves, paths } = flatten(params, isNdArray);
  const ours = new Map(paths.map((path, i) => [path, leaves[i]!]));
  ours.set("positions.weight", full([positions, modelWidth], 0));
  const [half, mid] = [(actions.high - actions.low) / 2, (actions.high + actions.low) / 2];
  const fold = (part: string, of: Parameters<typeof folded>[1]): void => {
    const [weight, bias] = [`embed.${part}.weight`, `embed.${part}.bias`] as const;
    const both = folded({ weight: ours.get(weight)!, bias: ours.get(bias)! }, of);
    ours.set(weight, both.weight).set(bias, both.bias);
  };
  fold("returns", () => ({ factor: 1 / returnScale, shift: 0 }));
  fold("actions", () => ({ factor: half, shift: mid }));
  if (states !== undefined) {
    const { mean, deviation } = states;
    fold("states", (feature) => {
      const factor = 1 / (deviation[feature]! + 1e-6);
      return { factor, shift: -mean[feature]! * factor };
    });
  }
  const files = {
    "config.json": `${JSON.stringify(config, null, 2)}\n`,
    [weightsFile]: safetensorsPieces(writeNames(names, ours), { format: "pt" }),
  };
  await writeFolderAtomic(directory, new Map(Object.entries(files)));
}

/** `x·W' + b'` that is `(factor·x + shift)·W + b`, feature by feature. */
function folded(
  { weight, bias }: { readonly weight: NDArray; readonly bias: NDArray },
  of: (feature: number) => { readonly factor: number; readonly shift: number },
): { readonly weight: NDArray; readonly bias: NDArray } {
  const width = bias.size;
  const [W, b] = [weight.toNumbers(), bias.toNumbers()];
  W.forEach((value, i) => {
    const { factor, shift } = of(Math.floor(i / width));
    b[i % width]! += shift * value;
    W[i] = factor * value;
  });
  return {
    weight: new NDArray(weight.shape, "float32", Float32Array.from(W)),
    bias: new NDArray(bias.shape, "float32", Float32Array.from(b)),
  };
}
