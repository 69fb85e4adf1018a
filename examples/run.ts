/** `npm run examples [-- NAME… --seed N --list --help]`: runs the examples of systems one after the other. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const folder = new URL("./systems/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".js"))
  .map((file) => file.slice(0, -3))
  .sort();

const help = `Usage: npm run examples [-- NAME… [--seed N] [--threads N] [--list]]

Each trains a system on the work it is for and asserts what a plain model of equal size does not reach. Without names, all of them,
for about an hour on two cores. What was interrupted goes on when it is called again; what is finished is only measured again. Trainings are
kept in runs/examples (remove a folder there to train again), results in examples/results; \`npm run docs\` makes docs/results.md from them.
With --seed, parameters and training examples are drawn from another seed than 0, and the result stands beside that of seed 0.

Examples:
  npm run examples -- al-rfou
  npm run examples -- al-rfou xlnet --seed 1
  npm run examples -- --list
Names: ${names.join(", ")}`;

const endings = new Map<number, string>([
  [0, "reached"],
  [1, "MISSED or failed"],
  [2, "skipped: data are missing"],
  [130, "interrupted"],
]);

function main(): number {
  const options = {
    help: { type: "boolean", short: "h" },
    list: { type: "boolean" },
    threads: { type: "string" },
    seed: { type: "string" },
  } as const;
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  if (values.help) return print(help);
  if (values.list) return print(names.join("\n"));
  const unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    console.error(`no example is called ${JSON.stringify(unknown)}; there are ${names.join(", ")}`);
    return 2;
  }
  const wrong = (["threads", "seed"] as const).find((name) => !/^\d{1,6}$/.test(values[name] ?? "1"));
  if (wrong !== undefined) {
    console.error(`--${wrong}: expected a whole number of at most 6 digits, found ${JSON.stringify(values[wrong])}`);
    return 2;
  }
  const outcomes: [name: string, code: number][] = [];
  for (const name of positionals.length === 0 ? names : positionals) {
    const args = [fileURLToPath(new URL(`${name}.js`, folder))];
    for (const option of ["threads", "seed"] as const)
      if (values[option] !== undefined) args.push(`--${option}`, values[option]);
    const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
    outcomes.push([name, status ?? 130]);
    if (status === 130 || status === null) break;
  }
  if (outcomes.length > 1)
    print(
      ["", ...outcomes.map(([name, code]) => `${name.padEnd(28)}${endings.get(code) ?? `code ${code}`}`)].join("\n"),
    );
  // Data that are missing are no failure of the rest.
  return (
    outcomes.find(([, code]) => code !== 0 && code !== 2)?.[1] ?? outcomes.find(([, code]) => code !== 0)?.[1] ?? 0
  );
}

function print(text: string): 0 {
  console.log(text);
  return 0;
}

// An interruption reaches the example itself, which puts its work away.
process.on("SIGINT", () => {});
try {
  process.exitCode = main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
