import { entryOf } from "../catalogue/catalogue-of.ts";
import { models } from "../catalogue/models.ts";
import { architectureOf, type CheckpointConfig } from "../io/hugging-face/architecture.ts";
import type { NameRule } from "../io/hugging-face/names.ts";
import { hasConfigWriter, type ModelSizes, writeConfig } from "../io/hugging-face/write-config.ts";
import type { ModelEntry } from "../models/index.ts";
import { present } from "../schema/present.ts";
import type { Choice, Entry } from "./catalogue.ts";
import type { RunConfig } from "./config.ts";
import type { RunFolder } from "./folder.ts";
import { isCheckpoint } from "./model.ts";
import { splitParts, unusualParts } from "./parts.ts";

/** Layout of safetensors: Hugging Face's layout of the model, or our own names, which only tsformers reads. */
export type ExportLayout = "hugging-face" | "tsformers";

/** The forms in which a configuration's model can be exported. */
export type ExportLayouts = {
  /** ONNX is always possible. */
  readonly safetensors: ExportLayout;
  /** Why it is our own layout, as a sentence. */
  readonly reason?: string;
};

/** The forms in which a configuration's model can be exported, known before it is trained. */
export function exportLayouts({ model, objective }: Pick<RunConfig, "model" | "objective">): ExportLayouts {
  if (objective?.kind === "class") return own("Hugging Face's classifiers have other heads");
  if (objective?.kind === "match") return own("Hugging Face has no models that compare two rows by one encoder");
  if (objective?.kind === "next-sentence")
    return own("its settings do not say that there is a head for the next sentence");
  if (objective?.kind === "tag") return own("Hugging Face's taggers have other heads");
  if (objective?.kind === "spans")
    return own("Hugging Face's question answerers do not know where the document begins");
  if (objective?.kind === "reconstruct") return own("Hugging Face has no model that gives a row back from one state");
  if (objective?.kind === "cluster") return own("Hugging Face has no models that tell mixtures of points");
  if (objective?.kind === "regress") return own("Hugging Face has no models that tell a number of a set of vectors");
  if (objective?.kind === "act") return own(differences["decision-transformer"]!);
  if (objective?.kind === "pictures") return own("Hugging Face has no such models of pictures");
  if (objective?.kind === "masked" && isCausal(model))
    return own("Hugging Face's models that fill in hidden tokens see both sides");
  if (isCheckpoint(model)) return { safetensors: "hugging-face" };
  if (!hasConfigWriter(model.kind)) return own(differences[model.kind] ?? `Hugging Face has no model ${model.kind}`);
  // GPT-2 has softmax attention and learned positions; with anything else it is not GPT-2.
  const unusual = unusualParts(model);
  if (unusual.length === 0) return { safetensors: "hugging-face" };
  return own(`Hugging Face has no ${model.kind} with ${unusual.join(" and ")}`);
}

/** Why models that Hugging Face has as well are not the same there. */
const differences: Readonly<Record<string, string>> = {
  "decision-transformer": "Hugging Face's Decision Transformers know no choices and do not normalise states",
  "transformer-xl": "Hugging Face has no Transformer-XL any more",
  reformer: "Hugging Face's Reformer looks back by chunks, not by tokens of the same bucket",
  longformer: "Hugging Face's Longformer counts positions from behind a padding token, which this model has not",
  bigbird: "Hugging Face's BigBird looks at other random blocks",
  led: "Hugging Face's LED has no global token where none is given, this one the first",
};

function isCausal({ kind }: Choice): boolean {
  return Object.hasOwn(models, kind) && entryOf<ModelEntry>(models, kind).causal;
}

function own(reason: string): ExportLayouts {
  return { safetensors: "tsformers", reason };
}

/** A checkpoint's settings, and the rules that name the arrays of its files. */
export type CheckpointLayout = { readonly config: CheckpointConfig; readonly names: readonly NameRule[] };

/** Hugging Face's layout of a run's model; undefined if it has none. */
export function layoutOfRun({ config, task }: Pick<RunFolder, "config" | "task">): CheckpointLayout | undefined {
  if (exportLayouts(config).safetensors === "tsformers") return undefined;
  if (isCheckpoint(config.model)) {
    return { config: config.model.settings, names: architectureOf(config.model).names };
  }
  const { kind } = config.model;
  const { vocabularySize, startToken, endToken } = task;
  const entry = entryOf<Entry>(models, kind);
  const options = entry.options().parse({ ...splitParts(config.model).options, vocabularySize }) as ModelSizes;
  const written = writeConfig(kind, {
    ...options,
    length: config.length,
    ...present({ startToken, endToken }),
  })!;
  return { config: written, names: architectureOf({ settings: written, ownHead: false }).names };
}
