import { architectureOf, type CheckpointConfig } from "../io/hugging-face/architecture.ts";

import type { NameRule } from "../io/hugging-face/names.ts";
import { hasConfigWriter, type ModelSizes, writeConfig } from "../io/hugging-face/write-config.ts";
import { type ModelName, models } from "../models/index.ts";
import type { RunConfig } from "./config.ts";
import type { RunFolder } from "./folder.ts";
import { isCheckpoint } from "./model.ts";

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
export function exportLayouts({ model: { kind }, position }: Pick<RunConfig, "model" | "position">): ExportLayouts {
  if (kind === "checkpoint") return { safetensors: "hugging-face" };
  if (!hasConfigWriter(kind)) return own(`Hugging Face has no model ${kind}`);
  // GPT-2 has learned positions; with any other scheme it is not Hugging Face's GPT-2.
  const usual = position === undefined || (kind === "gpt" && position.kind === "learned");
  return usual ? { safetensors: "hugging-face" } : own(`Hugging Face has no ${kind} with position ${position.kind}`);
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
  const { kind, ...chosen } = config.model;
  const { vocabularySize, startToken } = task;
  const options = models[kind as ModelName].options().parse({ ...chosen, vocabularySize }) as ModelSizes;
  const written = writeConfig(kind, {
    ...options,
    length: config.length,
    ...(startToken !== undefined && { startToken }),
  })!;
  return { config: written, names: architectureOf({ settings: written, ownHead: false }).names };
}
