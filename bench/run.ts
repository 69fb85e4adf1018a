/** `npm run bench [-- NAME… --rounds N --json FILE --help]`: runs the benches and prints a table of ratios. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { attentionBench } from "./attention.ts";
import { attentionCore } from "./attention-core.ts";
import type { Bench, Row } from "./bench.ts";
import { datastore } from "./datastore.ts";
import { decode } from "./decode.ts";
import { gptStep } from "./gpt-step.ts";
import { harness } from "./harness.ts";
import { repositoryFolder } from "./locations.ts";
import { longDecode } from "./long-decode.ts";
import { type BenchReport, type BenchResult, thisMachine } from "./machine.ts";
import { peak, peaksOf, withShares } from "./peak.ts";
import { performancePage } from "./performance-page.ts";
import { recipe } from "./recipe.ts";
import { sessionOptions } from "./session-options.ts";
import { size } from "./size.ts";
import { startup } from "./startup.ts";
import { store } from "./store.ts";
import { formatTable } from "./table.ts";
import { xlEvaluation } from "./xl-evaluation.ts";

const benches: readonly Bench[] = [
  peak,
  gptStep,
  decode,
  recipe,
  attentionCore,
  startup,
  size,
  store,
  harness,
  longDecode,
  xlEvaluation,
  attentionBench,
  datastore,
  sessionOptions,
];

/** What docs/performance.md is made from. */
const resultsFile = join(repositoryFolder, "bench", "results.json");

const help = `Usage: npm run bench [-- NAME… [--rounds N] [--json FILE] [--help]]

Benches ("all" runs every one, once each; without a name, all but attention, recipe, datastore and session-options):
${benches.map(({ name, about }) => `  ${name.padEnd(14)}${about}`).join("\n")}

  --rounds N   measure each side N times, in turn, each in a fresh process (default 2; attention 1)
  --json [FILE]
               also write { machine, benches: [{ name, seconds, rows: [{ name, metric, unit, ours, peer, … }] }] }, after every
               bench; without a file to bench/results.json, and docs/performance.md from it

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
    args: jsonWithDefault(process.argv.slice(2)),
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
  const isAll = positionals.includes("all");
  const rounds = values.rounds === undefined ? undefined : readCount("--rounds", values.rounds);
  const options = {
    peers: values.peers,
    ...(isAll && { isWhole: true as const }),
    ...(values.only === undefined ? {} : { only: values.only.split(",").map((name) => name.trim()) }),
    ...(values.lengths === undefined
      ? {}
      : { lengths: values.lengths.split(",").map((n) => readCount("--lengths", n)) }),
  };
  const machine = thisMachine();
  console.error(`${machine.cores} × ${machine.processor}, load ${machine.load}`);
  const results: BenchResult[] = [];
  for (const bench of chosenBenches(positionals, isAll)) {
    console.error(`${bench.name}: ${bench.about}`);
    const start = performance.now();
    let [rows, failure]: [Row[], string | undefined] = [[], undefined];
    try {
      rows = await bench.run({ rounds: rounds ?? (bench.onlyWhenNamed || isAll ? 1 : 2), ...options });
    } catch (error) {
      // The others go on; of this one the report tells why it has no rows.
      failure = error instanceof Error ? error.message : String(error);
      console.error(`failed ${bench.name}: ${failure}`);
      process.exitCode = 1;
    }
    const peaks = peaksOf([...results.flatMap((result) => result.rows), ...rows]);
    if (peaks !== undefined) rows = withShares(rows, peaks);
    const seconds = (performance.now() - start) / 1000;
    results.push({ name: bench.name, seconds, ...(failure !== undefined && { failure }), rows });
    if (bench.table !== undefined) console.log(bench.table(rows));
    if (values.json !== undefined) writeReport(values.json, { machine, benches: results });
  }
  const plain = results.filter(({ name }) => findBench(name).table === undefined).flatMap(({ rows }) => rows);
  if (plain.length > 0) console.log(formatTable(plain));
}

/** The rate of matrix products comes first, so that figures can be told as shares of it. */
function chosenBenches(names: readonly string[], isAll: boolean): readonly Bench[] {
  if (isAll) return benches.filter(({ onlyByName }) => !onlyByName);
  if (names.length === 0) return benches.filter(({ onlyWhenNamed }) => !onlyWhenNamed);
  return [...new Set([peak, ...names.map(findBench)])];
}

/** `--json` with no file behind it writes where docs/performance.md is made from. */
function jsonWithDefault(args: readonly string[]): string[] {
  return args.flatMap((arg, i) => {
    const next = args[i + 1];
    return arg === "--json" && (next === undefined || next.startsWith("-")) ? [`--json=${resultsFile}`] : [arg];
  });
}

/** Where the page is made from, benches that were not run now keep their rows of an earlier run on such a machine. */
function withEarlier({ machine, benches }: BenchReport): BenchReport {
  if (!existsSync(resultsFile)) return { machine, benches };
  const before = JSON.parse(readFileSync(resultsFile, "utf8")) as BenchReport;
  if (before.machine.processor !== machine.processor || before.machine.cores !== machine.cores)
    return { machine, benches };
  const kept = before.benches.filter(({ name }) => benches.every((own) => own.name !== name));
  return { machine, benches: [...benches, ...kept] };
}

function writeReport(file: string, run: BenchReport): void {
  const report = file === resultsFile ? withEarlier(run) : run;
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  if (file === resultsFile) writeFileSync(join(repositoryFolder, "docs", "performance.md"), performancePage(report));
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
