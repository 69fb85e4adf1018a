import { join } from "node:path";
import { Command, Option } from "commander";
import { exportRunOnnx, exportRunSafetensors } from "../run/export-run.ts";
import { loadRun } from "../run/load-run.ts";
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

/** `tsformers export DIR`: a trained run for other programs. */
export function exportCommand(terminal: Terminal): Command {
  return new Command("export")
    .description("write a trained run as an ONNX model, or as safetensors in Hugging Face's layout")
    .argument("<dir>", "directory of the run")
    .addOption(
      new Option(
        "--format <name>",
        "onnx: tokens to logits, weights inside; safetensors: a directory with config.json and model.safetensors",
      )
        .choices(["onnx", "safetensors"])
        .default("onnx"),
    )
    .option("--out <path>", "file or directory to write; DIR/model.onnx or DIR/hugging-face unless given")
    .option("--length <n>", "tokens in a row of the ONNX model; the training length unless given", parseCount())
    .option("--batch-size <n>", "rows of the ONNX model; 1 unless given", parseCount())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tsformers export runs/book --format onnx --length 256\n  tsformers export runs/book --format safetensors --out book-gpt2",
    )
    .action(async (directory: string, options: ExportFlags) => {
      const { format, length, batchSize } = options;
      if (format === "safetensors" && (length ?? batchSize) !== undefined) {
        throw new UsageError("--length and --batch-size belong to --format onnx; safetensors hold weights only");
      }
      const loaded = await loadRun(directory);
      for (const { message } of loaded.problems) terminal.log(`a damaged checkpoint was skipped: ${message}`);
      const path = options.out ?? join(directory, format === "onnx" ? "model.onnx" : "hugging-face");
      const layout = await write(loaded, path, options);
      if (options.json) terminal.out(JSON.stringify({ directory, step: loaded.step, format, layout, path }, null, 2));
      else terminal.out(`${path}: ${layoutText[layout]}, step ${loaded.step}`);
    });
}

const layoutText = {
  onnx: "ONNX model, tokens to logits",
  "hugging-face": "config.json and model.safetensors as Hugging Face has them",
  tsformers: "config.json and model.safetensors under tsformers' own names (Hugging Face has no such model)",
};

async function write(
  loaded: Parameters<typeof exportRunOnnx>[0],
  path: string,
  { format, length, batchSize }: ExportFlags,
): Promise<keyof typeof layoutText> {
  if (format === "safetensors") return exportRunSafetensors(loaded, path);
  await exportRunOnnx(loaded, path, {
    ...(length !== undefined && { length }),
    ...(batchSize !== undefined && { batchSize }),
  });
  return "onnx";
}
