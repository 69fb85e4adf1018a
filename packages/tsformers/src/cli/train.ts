import { existsSync } from "node:fs";
import { join } from "node:path";
import { openDevice } from "@tsformers/engine/node";
import { Command } from "commander";
import type { RunConfig, RunConfigInput } from "../run/config.ts";
import { exportLayouts } from "../run/export-layout.ts";
import { hasCheckpoint, readRunConfig, runPaths } from "../run/folder.ts";
import { measuredMicroBatches } from "../run/measured-micro-batches.ts";
import { type OpenedModel, openModel } from "../run/open-model.ts";
import { kindsText, splitParts } from "../run/parts.ts";
import { presetRun } from "../run/preset.ts";
import { requireTask, settingsOf, sizesOf } from "../run/start-from.ts";
import { trainRun } from "../run/train-run.ts";
import { present } from "../schema/present.ts";
import { openProgress } from "../train/progress.ts";
import { showEvents } from "../train/show-events.ts";
import { addFlags, configFrom, givenFlags, isGiven, runFlags, tokenFlags } from "./config-flags.ts";
import { Failure, interruption, UsageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

type TrainFlags = {
  readonly config?: string;
  readonly preset?: string;
  readonly json?: true;
  readonly force?: true;
  readonly from?: string;
  readonly [flag: string]: unknown;
};

/** `tsformers train [DIR]`: one run, resumed when it is there already. */
export function trainCommand(terminal: Terminal): Command {
  const command = new Command("train")
    .argument("[dir]", "directory of the run; without flags, the run that is there goes on")
    .option("--config <file>", "read settings from a JSON file; flags win over it")
    .option(
      "--preset <system>",
      "the settings of a system, of `tsformers list systems`; flags and a file win over them",
    )
    .option("--force", "start even when memory seems too small")
    .option("--json", "print the outcome as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tsformers train\n  tsformers train runs/book --task text --data book.txt --position alibi --steps 2000\n  tsformers train runs/book                      goes on after an interruption\n  tsformers train runs/more --from runs/book --task text --data more.txt\n  tsformers train runs/long --from runs/bert --model longformer --length 512\n  tsformers train runs/mine --from gpt2 --task text --data book.txt --learning-rate 1e-4\n  tsformers train --config run.json --seed 1\n  tsformers train runs/xl --preset transformer-xl",
    );
  return addFlags(command, runFlags).action(async (directory: string | undefined, options: TrainFlags) => {
    const { home, config, source } = await chosen(directory, options);
    const progress = openProgress();
    const { reason } = exportLayouts(config);
    if (reason !== undefined && !hasCheckpoint(home))
      progress.log(`${reason}: this run exports to ONNX, and as safetensors under tsformers' own names`);
    const { signal, listen, release } = interruption({
      later: true,
      onFirst: () => progress.log("stopping after this step; the next Ctrl-C stops now, without a checkpoint"),
    });
    // In a worker, so that signals are heard during a step.
    const device = await openDevice(config.device, { worker: true });
    const show = showEvents(progress);
    try {
      const { run, result } = await trainRun(config, {
        directory: home,
        device,
        signal,
        onEvent: (event) => {
          if (event.kind === "prepared") listen();
          // A finished run does not go on.
          if (event.kind !== "resumed" || event.step < config.steps) show(event);
        },
        chooseMicroBatches: measuredMicroBatches(),
        ...(options.force && { force: true }),
        ...present({ source }),
      });
      progress.done();
      const { ended, step, evaluation, tokensPerSecond } = result;
      const validLoss = evaluation === undefined ? undefined : evaluation.totals.lossSum / evaluation.totals.tokens;
      const outcome = {
        directory: home,
        ended,
        step,
        ...present({ validLoss }),
        ...(Number.isFinite(tokensPerSecond) && { tokensPerSecond }),
      };
      if (ended === "interrupted") {
        const message = `interrupted after step ${step}; \`tsformers train ${home}\` goes on from there`;
        throw new Failure("interrupted", message, outcome);
      }
      if (options.json) return terminal.out(JSON.stringify(outcome, null, 2));
      const loss = validLoss === undefined ? "" : `, valid loss ${validLoss.toFixed(4)}`;
      const idle = Number.isNaN(tokensPerSecond) ? "was already" : "is";
      terminal.out(`${home} ${idle} ${ended === "finished" ? "finished" : "stopped early"}: ${step} steps${loss}`);
      const next = run.model.category === "encoder" ? ["eval"] : ["eval", "generate"];
      terminal.log(terminal.dim(next.map((name) => `tsformers ${name} ${home}`).join("\n")));
    } finally {
      progress.done();
      release();
      await device.close();
    }
  });
}

/** The run that is meant: one that is there, when nothing else is said; otherwise what flags and file say. */
async function chosen(
  directory: string | undefined,
  options: TrainFlags,
): Promise<{ home: string; config: RunConfig; source?: OpenedModel }> {
  const isThere = directory !== undefined && existsSync(runPaths(directory).config);
  const given = givenFlags(options);
  const preset = presetOf(options);
  if (options.from !== undefined && !(isThere && hasCheckpoint(directory))) {
    const source = await openModel(options.from);
    const idle = tokenFlags.find((name) => isGiven(given, name));
    if (source.tokenizer !== undefined && idle !== undefined)
      throw new UsageError(
        `--${idle} does nothing here: texts are read with the tokenizer of what the run starts from`,
      );
    const settings = settingsOf(source);
    const saysTask = options.config !== undefined || [...given.keys()].some(({ path }) => path[0] === "task");
    if (!saysTask) requireTask(options.from, settings);
    const config = configFrom(options, isGiven(given, "model") ? sizesOf(source) : settings);
    return { home: directory ?? join("runs", nameOf(config)), config, source };
  }
  if (isThere && options.config === undefined && preset === undefined) {
    return { home: directory, config: configFrom(options, readRunConfig(directory)) };
  }
  if (
    directory !== undefined &&
    given.size === 0 &&
    options.config === undefined &&
    preset === undefined &&
    !isThere &&
    existsSync(directory)
  ) {
    throw new UsageError(`${directory}: not a run, it has no config.json; name a new directory, or say what to train`);
  }
  const config = configFrom(options, preset);
  return { home: directory ?? join("runs", nameOf(config)), config };
}

/** @throws UsageError for a system that there is not, and beside a run to start from, which has settings of its own */
function presetOf({ preset, from }: TrainFlags): RunConfigInput | undefined {
  if (preset === undefined) return undefined;
  if (from !== undefined)
    throw new UsageError(
      "--preset and --from: a run that starts from another one has its settings; give only one of the two",
    );
  try {
    return presetRun(preset);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--preset: ${error.message}`);
    throw error;
  }
}

/** A directory's name from what is trained: `text-gpt-alibi`. */
function nameOf({ task, model, objective, seed }: RunConfig): string {
  const chosen = Object.values(splitParts(model).chosen).map((part) => kindsText(part).replaceAll(", ", "+"));
  return [
    task.kind,
    model.kind,
    ...chosen,
    ...(objective === undefined ? [] : [objective.kind]),
    ...(seed === 0 ? [] : [`seed${seed}`]),
  ].join("-");
}
