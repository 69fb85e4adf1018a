/** `npm run bench [-- NAME… --rounds N --json FILE --help]`: runs the benches and prints a table of ratios. */
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import type { Bench, Row } from "./bench.ts";
import { decode } from "./decode.ts";
import { gptStep } from "./gpt-step.ts";
import { size } from "./size.ts";
import { startup } from "./startup.ts";
import { formatTable } from "./table.ts";

const benches: readonly Bench[] = [gptStep, decode, startup, size];

const help = `Usage: npm run bench [-- NAME… [--rounds N] [--json FILE] [--help]]

Benches (all of them when none is named):
${benches.map(({ name, about }) => `  ${name.padEnd(10)}${about}`).join("\n")}

  --rounds N   measure each side N times, in turn, each in a fresh process (default 2)
  --json FILE  also write [{ name, metric, unit, ours, peer, peerName, ratio }]

A ratio above 1 means ours is better. Peers are optional and skipped with a message when absent: PyTorch runs with the
Python named by TSFORMERS_PYTHON; jax-js and TensorFlow.js come from "npm ci --prefix bench/peers" and run in the
Chromium named by TSFORMERS_CHROMIUM (default /usr/bin/chromium). See bench/README.md.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      json: { type: "string" },
      rounds: { type: "string", default: "2" },
    },
  });
  if (values.help === true) {
    console.log(help);
    return;
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new Error(`--rounds: expected a whole number of at least 1, got ${values.rounds}`);
  }
  const chosen = positionals.length === 0 ? benches : positionals.map(findBench);
  const processors = cpus();
  console.error(
    `${processors.length} × ${processors[0]?.model ?? "unknown processor"}, load ${loadavg()[0]!.toFixed(2)}`,
  );
  const rows: Row[] = [];
  for (const bench of chosen) {
    console.error(`${bench.name}: ${bench.about}`);
    rows.push(...(await bench.run({ rounds })));
  }
  console.log(formatTable(rows));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
}

function findBench(name: string): Bench {
  const bench = benches.find((candidate) => candidate.name === name);
  if (bench === undefined) {
    throw new Error(`no bench named ${JSON.stringify(name)}; there are ${benches.map((b) => b.name).join(", ")}`);
  }
  return bench;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
