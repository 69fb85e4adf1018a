import { openDevice } from "@tsformers/engine/node";
import { Command, Option } from "commander";
import { Ended, exitCodes } from "./exit.ts";
import type { Terminal } from "./terminal.ts";
import { runVerify } from "./verify.ts";

/** `tsformers verify DIR`: a checkpoint, or a mechanism, against the stored results of its reference. */
export function verifyCommand(terminal: Terminal): Command {
  return new Command("verify")
    .description("check a checkpoint or a mechanism against stored results of its reference implementation")
    .argument(
      "<dir>",
      "directory with meta.json and cases.safetensors; of a checkpoint, config.json and model.safetensors too",
    )
    .addOption(new Option("--device <name>", "where it runs").choices(["cpu", "webgpu", "cuda"]).default("cpu"))
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nEnds with 1 when a tensor is beyond its tolerance.\n\nExamples:\n  tsformers verify golden/gpt2\n  tsformers verify golden/linear_attention\n  tsformers verify golden/t5 --device webgpu --json",
    )
    .action(
      async (directory: string, { device, json = false }: { device: "cpu" | "webgpu" | "cuda"; json?: boolean }) => {
        const code = await runVerify(directory, {
          device,
          json,
          print: (text) => terminal.out(text),
          open: (name) => openDevice(name as "cpu" | "webgpu" | "cuda"),
        });
        if (code !== 0) throw new Ended(exitCodes.failed);
      },
    );
}
