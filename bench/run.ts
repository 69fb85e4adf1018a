/** `npm run bench [-- NAME… --rounds N --json FILE --help]`: runs the benches and prints a table of ratios. */
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { attentionBench } from "./attention.ts";
import type { Bench, Row } from "./bench.ts";
import { datastore } from "./datastore.ts";
import { decode } from "./decode.ts";
import { gptStep } from "./gpt-step.ts";
import { harness } from "./harness.ts";
import { longDecode } from "./long-decode.ts";
import { size } from "./size.ts";
import { startup } from "./startup.ts";
import { store } from "./store.ts";
import { formatTable } from "./table.ts";
import { xlEvaluation } from "./xl-evaluation.ts";

const benches: readonly Bench[] = [
  gptStep,
  decode,
  startup,
  size,
  store,
  harness,
  longDecode,
  xlEvaluation,
  attentionBench,
  datastore,
];

const help = `Usage: npm run bench [-- NAME… [--rounds N] [--json FILE] [--help]]

Benches (all of them when none is named, but for attention and datastore):
${benches.map(({ name, about }) => `  ${name.padEnd(14)}${about}`).join("\n")}

  --rounds N   measure each side N times, in turn, each in a fresh process (default 2; attention 1)
  --json FILE  also write [{ name, metric, unit, ours, peer, peerName, ratio }]

For xl-evaluation:
  --lengths N,M
               at these attention lengths (default 800, 1600 and 3800)

For attention:
  --only A,B   these mechanisms (and full attention)
  --lengths N,M
               at these lengths (default 256, 512, 1024, 2048, 4096 and 16384)
  --peers      PyTorch too, at 4096

A ratio above 1 means ours is better. Peers are optional and skipped with a message when absent: PyTorch runs with the
Python named by TSFORMERS_PYTHON; jax-js and TensorFlow.js come from "npm ci --prefix bench/peers" and run in the
Chromium named by TSFORMERS_CHROMIUM (default /usr/bin/chromium). See bench/README.md.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      json: { type: "string" },
      rounds: { type: "string" },
      only: { type: "string" },
      lengths: { type: "string" },
      peers: { type: "boolean", default: false },
    },
  });
  if (values.help === true) {
    console.log(help);
    return;
  }
  const rounds = values.rounds === undefined ? undefined : readCount("--rounds", values.rounds);
  const options = {
    peers: values.peers,
    ...(values.only === undefined ? {} : { only: values.only.split(",").map((name) => name.trim()) }),
    ...(values.lengths === undefined
      ? {}
      : { lengths: values.lengths.split(",").map((n) => readCount("--lengths", n)) }),
  };
  const chosen =
    positionals.length === 0 ? benches.filter(({ onlyWhenNamed }) => !onlyWhenNamed) : positionals.map(findBench);
  const processors = cpus();
  console.error(
    `${processors.length} × ${processors[0]?.model ?? "unknown processor"}, load ${loadavg()[0]!.toFixed(2)}`,
  );
  const [rows, plain]: [Row[], Row[]] = [[], []];
  for (const bench of chosen) {
    console.error(`${bench.name}: ${bench.about}`);
    const found = await bench.run({ rounds: rounds ?? (bench.onlyWhenNamed ? 1 : 2), ...options });
    rows.push(...found);
    if (bench.table !== undefined) console.log(bench.table(found));
    else plain.push(...found);
  }
  if (plain.length > 0) console.log(formatTable(plain));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
}

function readCount(option: string, text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new Error(`${option}: expected a whole number of at least 1, got ${text}`);
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
