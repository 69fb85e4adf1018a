import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { type Bench, compareRow, median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { repositoryFolder } from "./locations.ts";
import { ourSide } from "./sides.ts";
import { recipeGpt, smallGpt, type Workload } from "./workload.ts";

/** What the child of this bench prints, in milliseconds. */
export type StartupResult = {
  /** Tracing and differentiating the step. */
  readonly traceMs: number;
  /** Lowering it to an ONNX model. */
  readonly lowerMs: number;
  /** Creating the ONNX Runtime session. */
  readonly sessionMs: number;
  /** Nodes of the graph handed to ONNX Runtime. */
  readonly nodes: number;
};

/** What the child of the first step prints: milliseconds since its process started, at the end of each part. */
export type FirstStepResult = {
  /** Modules are loaded. */
  readonly loadMs: number;
  /** ONNX Runtime is loaded, the model and its parameters are made. */
  readonly initMs: number;
  /** The step is traced, lowered and loaded. */
  readonly preparedMs: number;
  /** The first step is done and its loss read back. */
  readonly stepMs: number;
  readonly loss: number;
};

const deep: Workload = { ...smallGpt, layers: 12, steps: 1, warmup: 0 };
/** Small enough that the step itself is not what is measured. */
const shallow: Workload = { ...recipeGpt, steps: 1 };

/** Calls of the command, and the most milliseconds that each should take. */
const calls: readonly (readonly [args: readonly string[], targetMs: number])[] = [
  [["--help"], 150],
  [["list"], 250],
  [["describe", "gpt"], 250],
];
const leastCalls = 5;

/** From the start of a process to what was asked for: the command's help, the first training step, a session of a deep model. */
export const startup: Bench = {
  name: "startup",
  about: "the command's help and lists, the first training step of a process, preparing a 12-layer GPT training step",
  run: async ({ rounds }) => [
    ...commandRows(Math.max(leastCalls, rounds)),
    ...(await firstStepRows(rounds)),
    ...(await deepRows(rounds)),
  ],
};

function commandRows(count: number): Row[] {
  const program = join(repositoryFolder, "packages", "tsformers", "bin", "tsformers.js");
  return calls.flatMap(([args, targetMs]) => {
    const times = Array.from({ length: count }, () => callMs([program, ...args]));
    const row = (metric: string, ours: number) =>
      compareRow(`tsformers ${args.join(" ")}`, metric, "ms", "lower", ours, null, null);
    return [row("median", median(times)), row(`fastest (target ${targetMs})`, Math.min(...times))];
  });
}

function callMs(args: readonly string[]): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${args.join(" ")}: ended with exit code ${status}\n${stderr.trim()}`);
  return performance.now() - start;
}

async function firstStepRows(rounds: number): Promise<Row[]> {
  const [results] = await measureInTurn([ourSide("first-step", shallow)], Math.max(3, rounds), checkFirstStep);
  const row = (metric: string, read: (result: FirstStepResult) => number, pick = median): Row => {
    const ours = results!.length === 0 ? null : pick(results!.map(read));
    return compareRow("first step, 4 layers", metric, "ms", "lower", ours, null, null);
  };
  return [
    row("load modules", ({ loadMs }) => loadMs),
    row("load ONNX Runtime, make the model", ({ loadMs, initMs }) => initMs - loadMs),
    row("trace, lower, create the session", ({ initMs, preparedMs }) => preparedMs - initMs),
    row("the step", ({ preparedMs, stepMs }) => stepMs - preparedMs),
    row("since the process started, median", ({ stepMs }) => stepMs),
    row(
      "since the process started, fastest (target 1500)",
      ({ stepMs }) => stepMs,
      (all) => Math.min(...all),
    ),
  ];
}

function checkFirstStep(result: unknown, side: Side): FirstStepResult {
  const found = result as FirstStepResult;
  const chance = Math.log(shallow.vocabulary);
  if (!(Math.abs(found.loss - chance) < 0.25))
    throw new Error(`${side.name}: expected a first loss near ln V = ${chance.toFixed(3)}, got ${found.loss}`);
  return found;
}

async function deepRows(rounds: number): Promise<Row[]> {
  const [results] = await measureInTurn([ourSide("startup", deep)], rounds, (result) => result as StartupResult);
  const row = (metric: string, unit: string, read: (result: StartupResult) => number) => {
    const ours = results!.length === 0 ? null : median(results!.map(read));
    return compareRow("startup 12 layers", metric, unit, "lower", ours, null, null);
  };
  return [
    row("trace and differentiate", "ms", ({ traceMs }) => traceMs),
    row("lower to ONNX", "ms", ({ lowerMs }) => lowerMs),
    row("create the session", "ms", ({ sessionMs }) => sessionMs),
    row("in all (target 3000)", "ms", ({ traceMs, lowerMs, sessionMs }) => traceMs + lowerMs + sessionMs),
    row("graph", "nodes", ({ nodes }) => nodes),
  ];
}
