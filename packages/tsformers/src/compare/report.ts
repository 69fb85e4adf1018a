import { type Chart, type ChartPoint, type ChartSeries, marker, renderChart } from "./chart.ts";
import { crossoversOf, crossoverText } from "./crossovers.ts";
import { escapeHtml } from "./escape-html.ts";
import { bytesText, countText, lossText, multipleText } from "./figures.ts";
import { reportStyle } from "./report-style.ts";
import {
  type Comparison,
  type CurvePoint,
  type RunResult,
  type Spread,
  type StepCost,
  spread,
  summarise,
  type VariantSummary,
} from "./results.ts";
import { notesOf, trainLengthText } from "./table.ts";

/**
 * Renders a comparison as one HTML file: tables, curves, the machine, and the command that repeats it. It loads nothing, has no
 * scripts, follows the reader's light or dark theme and suits phones as well as wide windows.
 */
export function renderReport(comparison: Comparison): string {
  const summaries = summarise(comparison);
  const { title, command, finishedAt, environment, trainLength, lengths } = comparison;
  const notes = notesOf(summaries);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${reportStyle}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(title)}</h1>
<p class="summary">${escapeHtml(headline(comparison, summaries))}</p>
</header>
${section("Loss by length", `Trained at ${trainLength} tokens, evaluated on rows up to ${multipleText(Math.max(...lengths), trainLength)} as long.`, chartFigure(lengthChart(comparison, summaries)) + lengthTable(comparison, summaries))}
${section("Quality and cost", `On the test split at ${trainLengthText(comparison)}. ${seedsText(summaries)}`, qualityTable(comparison, summaries))}
${stepSections(comparison, summaries)}
${section("Loss over steps", "On the validation split; all variants have the same budget.", chartFigure(curveChart("Validation loss", comparison, ({ validCurve }) => validCurve)))}
${section("Training loss", "Mean of the steps between two points.", chartFigure(curveChart("Training loss", comparison, ({ trainCurve }) => trainCurve)))}
${notes.length === 0 ? "" : section("Notes", "", `<ul>${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join("")}</ul>`)}
${section("Runs", "", runsTable(comparison))}
${section("How this was made", "", `<pre><code>${escapeHtml(command)}</code></pre>${facts(environment, finishedAt)}`)}
</main>
</body>
</html>
`;
}

/** The result in one sentence: which variant is best at the training length and at the longest. */
function headline(comparison: Comparison, summaries: readonly VariantSummary[]): string {
  const { trainLength, lengths, metrics } = comparison;
  const lossName = metrics[0]!.name;
  const atTraining = lowest(summaries.map(({ variant, metrics: own }) => ({ variant, loss: own[lossName] })));
  if (atTraining === undefined) return "No run finished.";
  const longest = lengths.at(-1)!;
  const far = lowest(summaries.map(({ variant, byLength }) => ({ variant, loss: lossAt(byLength, longest) })));
  const first = `At ${trainLengthText(comparison)} ${atTraining.variant} has the lowest loss (${lossText(atTraining.loss)} nats per token)`;
  if (far === undefined || longest === trainLength) return `${first}.`;
  return `${first}; at ${multipleText(longest, trainLength)} that length it is ${far.variant} (${lossText(far.loss)}).`;
}

function lossAt(byLength: VariantSummary["byLength"], length: number): Spread | undefined {
  const cell = byLength.find((one) => one.length === length);
  return cell !== undefined && "loss" in cell ? cell.loss : undefined;
}

function lowest(
  candidates: readonly { variant: string; loss: Spread | undefined }[],
): { variant: string; loss: Spread } | undefined {
  const measured = candidates.flatMap(({ variant, loss }) => (loss === undefined ? [] : [{ variant, loss }]));
  return measured.sort((a, b) => a.loss.mean - b.loss.mean)[0];
}

function seedsText(summaries: readonly VariantSummary[]): string {
  const seeds = Math.max(...summaries.map((summary) => summary.seeds));
  return seeds > 1
    ? `Mean ± standard deviation over ${seeds} seeds.`
    : "One seed: differences of a few per cent may be chance.";
}

function section(title: string, lead: string, content: string): string {
  return `<section><h2>${escapeHtml(title)}</h2>${lead === "" ? "" : `<p class="lead">${escapeHtml(lead)}</p>`}${content}</section>`;
}

/** Drawn twice, for wide windows and for phones, where a scaled chart would have too small text. */
function chartFigure(chart: Chart): string {
  const legend = chart.series
    .map(
      ({ name, slot }) =>
        `<li><svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true"><g fill="var(--series-${slot % 8})">${marker(slot)}</g></svg>${escapeHtml(name)}</li>`,
    )
    .join("");
  const wide = renderChart(chart, { width: 880, height: 340 });
  const narrow = renderChart(chart, { width: 350, height: 280 });
  return `<figure><ul class="legend">${legend}</ul><div class="wide">${wide}</div><div class="narrow">${narrow}</div></figure>`;
}

function lengthChart({ lengths, trainLength }: Comparison, summaries: readonly VariantSummary[]): Chart {
  const series = summaries.map(({ variant, byLength }, slot): ChartSeries => {
    const points = byLength.flatMap((cell) => ("loss" in cell ? [point(cell.length, cell.loss)] : []));
    return { name: variant, slot, points };
  });
  return {
    title: "Loss by length",
    xLabel: "tokens in a row (multiple of the training length)",
    yLabel: "loss (nats per token)",
    series,
    xTicks: lengthTicks(lengths, trainLength),
    logarithmic: true,
    markers: true,
  };
}

/** Speed and memory by length, and from where on one variant is better than another. */
function stepSections(comparison: Comparison, summaries: readonly VariantSummary[]): string {
  if (summaries.every(({ steps }) => steps === undefined)) return "";
  const found = crossoversOf(summaries).map((crossover) => `<li>${escapeHtml(crossoverText(crossover))}</li>`);
  const list = found.length === 0 ? "" : `<ul>${found.join("")}</ul>`;
  const speed = stepFigure(comparison, summaries, {
    title: "Speed by length",
    label: "thousand tokens per second",
    value: ({ tokensPerSecond }) => tokensPerSecond / 1000,
    text: ({ tokensPerSecond }) => countText(tokensPerSecond),
    best: Math.max,
  });
  const memory = stepFigure(comparison, summaries, {
    title: "Memory by length",
    label: "peak memory (MB)",
    value: ({ peakBytes }) => peakBytes / 1e6,
    text: ({ peakBytes }) => bytesText(peakBytes),
    best: Math.min,
  });
  const lead =
    "A step forward and backward over as many tokens as in training, at least one row, in a process of its own.";
  return `${section("Speed by length", lead, speed + list)}\n${section("Memory by length", "Peak resident memory of that process.", memory)}`;
}

type MeasuredStep = Extract<StepCost, { tokensPerSecond: number }>;

function stepFigure(
  { lengths, trainLength }: Comparison,
  summaries: readonly VariantSummary[],
  {
    title,
    label,
    value,
    text,
    best,
  }: {
    title: string;
    label: string;
    value(step: MeasuredStep): number;
    text(step: MeasuredStep): string;
    best(...values: number[]): number;
  },
): string {
  const measured = ({ steps = [] }: VariantSummary) => steps.flatMap((step) => ("missing" in step ? [] : [step]));
  const series = summaries.map((summary, slot) => ({
    name: summary.variant,
    slot,
    points: measured(summary).map((step) => ({ x: step.length, y: value(step) })),
  }));
  const chart = chartFigure({
    title,
    xLabel: "tokens in a row (multiple of the training length)",
    yLabel: label,
    series,
    xTicks: lengthTicks(lengths, trainLength),
    logarithmic: true,
    markers: true,
  });
  const bests = lengths.map((length) =>
    best(...summaries.flatMap(measured).flatMap((step) => (step.length === length ? [value(step)] : []))),
  );
  const rows = summaries.map((summary) => [
    { text: summary.variant },
    ...lengths.map((length, i): Cell => {
      const step = summary.steps?.find((one) => one.length === length);
      if (step === undefined) return missing;
      return "missing" in step
        ? { text: step.missing, note: true }
        : { text: text(step), best: value(step) === bests[i] };
    }),
  ]);
  return chart + table(["variant", ...lengthTicks(lengths, trainLength).map(({ text }) => text)], rows);
}

function lengthTicks(lengths: readonly number[], trainLength: number): { x: number; text: string }[] {
  return lengths.map((x) => ({ x, text: `${x} (${multipleText(x, trainLength)})` }));
}

function curveChart(title: string, { runs }: Comparison, curveOf: (result: RunResult) => readonly CurvePoint[]): Chart {
  const variants = [...new Set(runs.map(({ variant }) => variant))];
  const series = variants.map((variant, slot): ChartSeries => {
    const losses = new Map<number, number[]>();
    for (const { variant: own, outcome } of runs) {
      if (own !== variant || !("result" in outcome)) continue;
      for (const { step, loss } of curveOf(outcome.result)) losses.set(step, [...(losses.get(step) ?? []), loss]);
    }
    const points = [...losses].sort(([a], [b]) => a - b).map(([step, values]) => point(step, spread(values)));
    return { name: variant, slot, points };
  });
  return { title, xLabel: "steps", yLabel: "loss (nats per token)", series, markers: false };
}

function point(x: number, { mean, deviation }: Spread): ChartPoint {
  return deviation === undefined ? { x, y: mean } : { x, y: mean, deviation };
}

function lengthTable({ lengths, trainLength }: Comparison, summaries: readonly VariantSummary[]): string {
  const header = ["variant", ...lengths.map((length) => `${multipleText(length, trainLength)} (${length})`)];
  const best = lengths.map((length) =>
    Math.min(...summaries.map(({ byLength }) => lossAt(byLength, length)?.mean ?? Number.POSITIVE_INFINITY)),
  );
  const rows = summaries.map(({ variant, byLength }) => [
    { text: variant },
    ...byLength.map((cell, i) =>
      "loss" in cell
        ? { text: lossText(cell.loss), best: cell.loss.mean === best[i] }
        : { text: cell.missing, note: true },
    ),
  ]);
  return table(header, rows);
}

function qualityTable({ metrics }: Comparison, summaries: readonly VariantSummary[]): string {
  const header = [
    "variant",
    ...metrics.map(({ label }) => label),
    "train tokens/s",
    "eval tokens/s",
    "peak memory",
    "parameters",
  ];
  const best = metrics.map(({ name, better }) => {
    const means = summaries.flatMap(({ metrics: own }) => own[name]?.mean ?? []);
    return better === "lower" ? Math.min(...means) : Math.max(...means);
  });
  const rows = summaries.map((summary) => [
    { text: summary.variant },
    ...metrics.map(({ name }, i) => {
      const value = summary.metrics[name];
      return value === undefined ? missing : { text: lossText(value), best: value.mean === best[i] };
    }),
    summary.trainTokensPerSecond === undefined ? missing : { text: countText(summary.trainTokensPerSecond.mean) },
    summary.evalTokensPerSecond === undefined ? missing : { text: countText(summary.evalTokensPerSecond.mean) },
    summary.peakBytes === undefined ? missing : { text: bytesText(summary.peakBytes.mean) },
    summary.parameters === undefined ? missing : { text: summary.parameters.toLocaleString("en-US") },
  ]);
  return table(header, rows);
}

function runsTable({ runs }: Comparison): string {
  const rows = runs.map(({ id, seed, outcome }) => [
    { text: id },
    { text: String(seed) },
    "failure" in outcome
      ? { text: `failed: ${outcome.failure}`, note: true }
      : { text: `${outcome.result.seconds.toFixed(0)} s` },
    "failure" in outcome ? missing : { text: outcome.reused ? "earlier" : "now" },
  ]);
  return table(["run", "seed", "time", "made"], rows);
}

type Cell = { readonly text: string; readonly best?: boolean; readonly note?: boolean };

const missing: Cell = { text: "–", note: true };

function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = ({ text, best, note }: Cell, column: number) => {
    const tag = column === 0 ? 'th scope="row"' : "td";
    const kind = best ? ' class="best"' : note ? ' class="note"' : "";
    return `<${tag}${kind}>${escapeHtml(text)}</${tag.split(" ")[0]}>`;
  };
  const head = header.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join("");
  const body = rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("");
  return `<div class="scroll" tabindex="0"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function facts(environment: Comparison["environment"], finishedAt: string): string {
  const { cpu, cores, memoryBytes, platform, node, tsformers, onnxruntime } = environment;
  const entries = [
    ["machine", `${cpu}, ${cores} ${cores === 1 ? "core" : "cores"}, ${bytesText(memoryBytes)}`],
    ["platform", platform],
    ["versions", `tsformers ${tsformers}, ONNX Runtime ${onnxruntime}, Node ${node}`],
    ["finished", finishedAt],
  ] as const;
  return `<dl>${entries.map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join("")}</dl>`;
}
