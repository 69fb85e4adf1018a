import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The built program; tests of the command line are tests of what is published. */
export const program: string = fileURLToPath(new URL("../../dist/command/cli.js", import.meta.url));

if (!existsSync(program)) throw new Error(`${program} is missing: run \`npm run build\` first`);

export type CliResult = { readonly code: number | null; readonly out: string; readonly log: string };

/** Runs `tsformers` with arguments in a directory. A variable of the environment that is `undefined` is left out. */
export function runCli(
  args: readonly string[],
  options: { readonly cwd?: string; readonly environment?: Readonly<Record<string, string | undefined>> } = {},
): Promise<CliResult> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, log] = ["", ""];
    child.stdout.on("data", (text) => (out += String(text)));
    child.stderr.on("data", (text) => (log += String(text)));
    child.on("close", (code) => resolve({ code, out, log }));
  });
}
