import { join } from "node:path";
import { Command, Option } from "commander";
import { exportLayoutsOf, exportModelOnnx, exportModelSafetensors } from "../run/export-model.ts";
import { ExportTargetError } from "../run/export-target.ts";
import { type OpenedModel, openModel } from "../run/open-model.ts";
import { present } from "../schema/present.ts";
import { parseCount } from "./config-flags.ts";
import { UsageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

type ExportFlags = {
  readonly format: "onnx" | "safetensors";
  readonly out?: string;
  readonly length?: number;
  readonly batchSize?: number;
  readonly json?: true;
};

/** `tsformers export DIR`: a trained run, or a checkpoint, for other programs. */
export function exportCommand(terminal: Terminal): Command {
  return new Command("export")
    .argument("<dir>", "directory of the run or checkpoint")
    .addOption(
      new Option(
        "--format <name>",
        "onnx: tokens to logits, weights inside; safetensors: a folder with config.json and model.safetensors, in Hugging Face's layout where it has the model",
      )
        .choices(["onnx", "safetensors"])
        .default("onnx"),
    )
    .option(
      "--out <path>",
      "file or folder to write; an earlier export there is replaced. Default: DIR/model.onnx, DIR/hugging-face, or DIR/tsformers where Hugging Face has no such model",
    )
    .option(
      "--length <n>",
      "tokens in a row of the ONNX model. Default: the training length; of a checkpoint its own, 512 at most",
      parseCount(),
    )
    .option("--batch-size <n>", "rows of the ONNX model. Default: 1", parseCount())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tsformers export runs/book --format onnx --length 256\n  tsformers export runs/book --format safetensors --out book-gpt2\n  tsformers export book-gpt2 --format onnx --out book.onnx",
    )
    .action(async (directory: string, options: ExportFlags) => {
      const { format, length, batchSize } = options;
      if (format === "safetensors" && (length ?? batchSize) !== undefined) {
        throw new UsageError("--length and --batch-size belong to --format onnx; safetensors hold weights only");
      }
      const opened = await openModel(directory);
      for (const note of opened.notes) terminal.log(note);
      const { safetensors, reason } = exportLayoutsOf(opened);
      const layout = format === "onnx" ? format : safetensors;
      if (layout === "tsformers") terminal.log(`${reason}; it is written under tsformers' own names`);
      const path = options.out ?? join(directory, layout === "onnx" ? "model.onnx" : layout);
      await write(opened, path, options);
      const step = opened.run?.step;
      if (options.json) terminal.out(JSON.stringify({ directory, step: step ?? null, format, layout, path }, null, 2));
      else terminal.out(`${path}: ${textOf(layout, opened)}${step === undefined ? "" : `, step ${step}`}`);
    });
}

function textOf(layout: keyof typeof layoutText, { run }: OpenedModel): string {
  if (layout === "onnx" && run?.config.objective?.kind === "cluster") return "ONNX model, points to a mixture";
  if (layout === "onnx" && run?.config.objective?.kind === "regress") return "ONNX model, sets of vectors to a number";
  if (layout === "onnx" && run?.config.objective?.kind === "act") return "ONNX model, episodes to actions";
  if (layout === "onnx" && run?.config.objective?.kind === "pictures")
    return "ONNX model, pictures to −log p of each step";
  return layoutText[layout];
}

const layoutText = {
  onnx: "ONNX model, tokens to logits",
  "hugging-face": "config.json and model.safetensors as Hugging Face has them",
  tsformers: "config.json, task.json and model.safetensors under tsformers' own names",
};

async function write(opened: OpenedModel, path: string, { format, length, batchSize }: ExportFlags): Promise<void> {
  try {
    if (format === "safetensors") await exportModelSafetensors(opened, path);
    else {
      await exportModelOnnx(opened, path, {
        ...present({ length, batchSize }),
      });
    }
  } catch (error) {
    throw error instanceof ExportTargetError ? new UsageError(`--out ${error.message}`) : error;
  }
}
