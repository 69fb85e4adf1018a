import { basename } from "node:path";
import type { CellAbout, Comparison, TaskAbout } from "../compare/results.ts";
import { bestBaseline, taskOf } from "../compare/statistics/ranking.ts";
import { type Choices, kindsOf } from "../run/catalogue.ts";
import type { RunConfig } from "../run/config.ts";
import { openParts, parts, splitParts } from "../run/parts.ts";
import type { CostRecord, Identity, RunRecord } from "./record.ts";

/**
 * The finished runs of a comparison as rows of the index.
 *
 * @param name of the comparison's folder
 */
export function recordsOf(comparison: Comparison, name: string): RunRecord[] {
  return comparison.runs.flatMap((run): RunRecord[] => {
    if (!("result" in run.outcome)) return [];
    const { result } = run.outcome;
    const { task, cell } = placeOf(comparison, run);
    const trainLength = run.config.length ?? task.trainLength;
    const { metric } = taskOf(comparison, task.label);
    return [
      {
        folder: basename(run.directory),
        ...identityOf(comparison, name, { task, variant: run.variant, cell, config: run.config }),
        parameters: result.parameters,
        finishedAt: result.finishedAt ?? comparison.finishedAt,
        seed: run.seed,
        pretrained: run.pretrained,
        steps: result.steps,
        tokens: result.tokens,
        stateBytes: stateAt(cell, trainLength),
        flopsPerToken: cell?.flopsPerToken ?? null,
        loss: result.metrics.loss ?? null,
        metric: metric.name,
        metricLabel: metric.label,
        score: result.metrics[metric.name] ?? null,
        better: metric.better,
        baseline: bestBaseline(task, metric) ?? null,
        scoredRows: result.scored?.rows ?? null,
        trainTokensPerSecond: result.trainTokensPerSecond ?? null,
        evalTokensPerSecond: result.evalTokensPerSecond,
        peakBytes: result.peakBytes ?? null,
        seconds: result.seconds ?? null,
        metrics: result.metrics,
        byLength: result.byLength,
      },
    ];
  });
}

/** A run that failed, and why. */
export type FailureRecord = Identity & Pick<RunRecord, "folder" | "seed" | "pretrained"> & { readonly failure: string };

/** The runs of a comparison that failed; the index does not have them. */
export function failuresOf(comparison: Comparison, name: string): FailureRecord[] {
  return comparison.runs.flatMap(({ outcome, ...run }): FailureRecord[] => {
    if (!("failure" in outcome)) return [];
    const place = { ...placeOf(comparison, run), config: run.config };
    const { variant, seed, pretrained, directory } = run;
    const identity = identityOf(comparison, name, { ...place, variant });
    return [{ folder: basename(directory), ...identity, seed, pretrained, failure: outcome.failure }];
  });
}

/**
 * What steps cost in a comparison, as rows of the index.
 *
 * @param name of the comparison's folder
 */
export function costsOf(comparison: Comparison, name: string): CostRecord[] {
  return comparison.costs.flatMap(({ task: label, variant, steps }) => {
    const { task, cell, config } = placeOf(comparison, { task: label, variant });
    const identity = identityOf(comparison, name, { task, variant, cell, config });
    return steps.map((step): CostRecord => {
      const measured = "missing" in step ? { missing: step.missing } : { ...step, missing: null };
      const none = { rows: null, tokensPerSecond: null, peakBytes: null, flopsPerToken: null };
      return { ...identity, stateBytes: stateAt(cell, step.length), ...none, ...measured, length: step.length };
    });
  });
}

type Place = { readonly task: TaskAbout; readonly cell: CellAbout | undefined; readonly config: RunConfig | undefined };

/** What a comparison says of a variant on a task. */
function placeOf(
  { tasks, cells, runs }: Comparison,
  { task: label, variant }: { readonly task: string; readonly variant: string },
): Place {
  const task = tasks.find((one) => one.label === label);
  if (task === undefined) throw new Error(`it has no task ${JSON.stringify(label)}`);
  const isOwn = (one: { readonly task: string; readonly variant: string }) =>
    one.task === label && one.variant === variant;
  const cell = cells.find(isOwn);
  return { task, cell, config: cell?.config ?? runs.find(isOwn)?.config };
}

function identityOf(
  { environment, finishedAt }: Comparison,
  name: string,
  { task, variant, cell, config }: Place & { readonly variant: string },
): Identity {
  const { kind: _, ...taskSettings } = config?.task ?? { kind: "" };
  return {
    comparison: name,
    task: task.name,
    taskLabel: task.label,
    taskSettings,
    objective: task.objective,
    variant,
    ...partsOf(config, cell),
    layers: cell?.layers ?? numberIn(config, "layers"),
    modelWidth: cell?.modelWidth ?? numberIn(config, "modelWidth"),
    heads: numberIn(config, "heads"),
    trainLength: config?.length ?? task.trainLength,
    batchSize: config?.batchSize ?? null,
    learningRate: config?.learningRate ?? null,
    parameters: cell?.parameters ?? null,
    causal: cell?.causal ?? null,
    cpu: environment.cpu,
    cores: environment.cores,
    memoryBytes: environment.memoryBytes,
    device: config?.device ?? null,
    version: environment.tsformers,
    finishedAt,
    config: config ?? null,
  };
}

type PartNames = Pick<Identity, "model" | "mixer" | "pattern" | "position" | "depth">;

/** Without a configuration only what tells the variant from the others is known. */
function partsOf(config: RunConfig | undefined, cell: CellAbout | undefined): PartNames {
  const settings = cell?.settings ?? {};
  const model = config?.model ?? { kind: settings.model ?? "unknown" };
  const { chosen } = splitParts(model);
  const open = openParts(model.kind);
  const named = (part: keyof typeof parts): string => {
    const own = chosen[part];
    if (own !== undefined) return kindsText(own);
    return settings[part] ?? (open.includes(part) ? parts[part].usual : config === undefined ? "unknown" : "own");
  };
  return {
    model: model.kind,
    mixer: named("mixer"),
    pattern: named("pattern"),
    position: named("position"),
    depth: named("depth"),
  };
}

/** `performer`; of several layers `local*2,routing*2`. */
function kindsText(chosen: Choices): string {
  const runs = kindsOf(chosen);
  if (runs.length === 1) return runs[0]!.kind;
  return runs.map(({ kind, times }) => (times === 1 ? kind : `${kind}*${times}`)).join(",");
}

function numberIn(config: RunConfig | undefined, option: string): number | null {
  const value = config?.model[option];
  return typeof value === "number" ? value : null;
}

function stateAt(cell: CellAbout | undefined, length: number): number | null {
  return cell?.stateBytes?.find((state) => state.length === length)?.bytes ?? null;
}
