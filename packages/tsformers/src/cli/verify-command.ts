import { openDevice } from "@tsformers/engine/node";
import { Command, Option } from "commander";
import { Failure } from "./exit.ts";
import type { Terminal } from "./terminal.ts";
import { jsonRow, verifyRows, verifyTable } from "./verify.ts";

/** `tsformers verify DIR`: a checkpoint, or a mechanism, against the stored results of its reference. */
export function verifyCommand(terminal: Terminal): Command {
  return new Command("verify")
    .argument(
      "<dir>",
      "directory with meta.json and cases.safetensors; of a checkpoint, config.json and model.safetensors too",
    )
    .addOption(new Option("--device <name>", "where it runs").choices(["cpu", "webgpu", "cuda"]).default("cpu"))
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tsformers verify golden/gpt2\n  tsformers verify golden/linear_attention\n  tsformers verify golden/t5 --device webgpu --json",
    )
    .action(
      async (directory: string, { device: name, json }: { device: "cpu" | "webgpu" | "cuda"; json?: boolean }) => {
        const device = await openDevice(name);
        const rows = await verifyRows(directory, device).finally(() => device.close());
        const beyond = rows.filter(({ ok }) => !ok).length;
        const result = { directory, device: name, ok: beyond === 0, rows: rows.map(jsonRow) };
        if (!json) terminal.out(verifyTable(rows));
        if (beyond > 0) {
          const message = `${directory}: ${beyond} of ${rows.length} tensors are beyond tolerance`;
          throw new Failure("beyond-tolerance", message, result);
        }
        if (json) terminal.out(JSON.stringify(result, null, 2));
      },
    );
}
