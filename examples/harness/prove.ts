// What the examples of systems have in common: trainings that go on where they were interrupted, and a result that is written down.
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Device, Given } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import {
  evaluateAtLengths,
  type LengthResult,
  type LengthsOptions,
  openProgress,
  showEvents,
  trainRun,
} from "tsformers/node";
import { type PreparedRun, parseRunConfig, type RunConfigInput } from "tsformers/run";
import { type TrainOptions, type TrainResult, train } from "tsformers/train";
import { formatResult, type Result } from "./result.ts";

/** The repository, from examples/harness and from examples/dist/harness. */
const root = fileURLToPath(new URL(import.meta.url.includes("/dist/") ? "../../../" : "../../", import.meta.url));

/** What an example works with. */
export type Bench = {
  readonly device: Device;
  /** Aborts when the example is to end. */
  readonly signal: AbortSignal;
  /** A folder of this example and seed for what it keeps beside its trainings. */
  readonly folder: string;
  /** Of parameters and training examples, in all trainings that name none. 0 unless `--seed` was given. */
  readonly seed: number;
  /** Trains by a configuration. A training that was finished before is read. */
  run(name: string, config: RunConfigInput): Promise<Trained>;
  /** Trains an objective that no configuration describes. A training that was finished before is read. */
  train<Params, B>(
    name: string,
    options: Omit<TrainOptions<Params, B>, "device" | "directory" | "signal">,
  ): Promise<TrainResult<Params>>;
  /** Loss in nats at some lengths, of the test split unless another is named. */
  scores(trained: Trained, options?: Partial<LengthsOptions>): Promise<LengthResult[]>;
  /** What {@link Bench.scores} tells of one length, the training length unless another is named. */
  scored(trained: Trained, options?: Partial<LengthsOptions>): Promise<Scored>;
  /** A line for people, on standard error. */
  say(text: string): void;
};

/** A training that has ended, and its parameters. */
export type Trained = { readonly run: PreparedRun; readonly params: Given<unknown>; readonly directory: string };

/** The result at a length for which the task has rows. */
export type Scored = Extract<LengthResult, { readonly loss: number }>;

/** Data of the example are not here: it ends with code 2. */
export class MissingData extends Error {
  override readonly name = "MissingData";
}

class Interrupted extends Error {}

/**
 * Runs an example: `work` trains and measures, and returns what it reached. Ends the process with 0 where the target is reached, 1 where it
 * is not, 2 where data are missing, and 130 after Ctrl-C; started again, it goes on. Results are written to `examples/results`, those of
 * other seeds than 0 to `examples/results/seeds`.
 */
export async function prove(name: string, work: (bench: Bench) => Promise<Result>): Promise<void> {
  const options = { threads: { type: "string" }, seed: { type: "string", default: "0" } } as const;
  const { threads, seed: given } = parseArgs({ options }).values;
  const seed = Number(given);
  const kept = seed === 0 ? name : join("seeds", `${name}-${seed}`);
  const folder = join(root, "runs", "examples", kept);
  const progress = openProgress();
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130);
    progress.log("stopping after this step");
    controller.abort(new Interrupted());
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, onSignal);
  const device = await openDevice("cpu", { worker: true, ...(threads !== undefined && { threads: Number(threads) }) });
  const { signal } = controller;
  const ended = <T extends { readonly ended: string }>(result: T): T => {
    if (result.ended === "interrupted") throw new Interrupted();
    return result;
  };
  const bench: Bench = {
    device,
    signal,
    folder,
    seed,
    scored: async (trained, options) => {
      const [found] = await bench.scores(trained, options);
      if (found === undefined || !("loss" in found)) throw new Error(found?.missing);
      return found;
    },
    say: (text) => progress.log(text),
    run: async (part, config) => {
      const directory = join(folder, part);
      progress.log(`${name}: ${part}`);
      const onEvent = showEvents(progress);
      const { run, result } = await trainRun(parseRunConfig({ seed, ...config }, `${name}, ${part}`), {
        directory,
        device,
        signal,
        onEvent,
      });
      return { run, params: (ended(result).average ?? result.params) as Given<unknown>, directory };
    },
    train: async (part, options) => {
      progress.log(`${name}: ${part}`);
      const directory = join(folder, part);
      return ended(await train({ seed, ...options, device, directory, signal, onEvent: showEvents(progress) }));
    },
    scores: ({ run, params }, options = {}) => {
      const { length, batchSize } = run.config;
      const standard: LengthsOptions = { split: "test", lengths: [length], batchTokens: length * batchSize };
      return evaluateAtLengths(run, params, device, { ...standard, signal, ...options });
    },
  };
  try {
    const result = await work(bench);
    write(join(root, "examples", "results", `${kept}.json`), result);
    console.log(formatResult(seed === 0 ? name : `${name}, seed ${seed}`, result));
    if (!result.reached) process.exitCode = 1;
  } catch (error) {
    if (error instanceof Interrupted || signal.aborted) {
      progress.log(`${name}: interrupted; started again, it goes on`);
      process.exitCode = 130;
    } else if (error instanceof MissingData) {
      console.error(`${name}: skipped: ${error.message}`);
      process.exitCode = 2;
    } else throw error;
  } finally {
    progress.done();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, onSignal);
    await device.close();
  }
}

/** Whole or not at all. */
function write(file: string, result: Result): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify(result, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}
