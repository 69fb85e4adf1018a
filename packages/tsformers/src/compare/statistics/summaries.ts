import { present } from "../../schema/present.ts";
import type { Comparison, Figures, LengthFigures, RunResult, Scored, StepCost } from "../results.ts";

/** A figure under each seed, their mean, and the sample standard deviation `√(Σ(x − mean)² / (n − 1))` if there are several. */
export type Spread = { readonly values: readonly number[]; readonly mean: number; readonly deviation?: number };

/** One variant on one task, over all its seeds. */
export type VariantSummary = {
  readonly task: string;
  readonly variant: string;
  readonly pretrained: boolean;
  /** Seeds of the runs that were finished; spreads have their values in this order. */
  readonly seeds: readonly number[];
  readonly failures: readonly string[];
  readonly metrics: Readonly<Record<string, Spread>>;
  /** How much of the test split each run was scored on; the least of them where they differ. */
  readonly scored?: Scored;
  readonly byLength: readonly ({ readonly length: number } & (
    | { readonly metrics: Readonly<Record<string, Spread>>; readonly scored?: Scored; readonly note?: string }
    | { readonly missing: string }
  ))[];
  /** What a step costs at each length, where that was measured. */
  readonly steps?: readonly StepCost[];
  readonly trainTokensPerSecond?: Spread;
  readonly evalTokensPerSecond?: Spread;
  readonly peakBytes?: Spread;
  readonly seconds?: Spread;
  readonly parameters?: number;
};

/** Groups the runs by task, by whether they were pre-trained, and by variant, in the order in which tasks and variants were given. */
export function summarise({ runs, tasks, variants, costs }: Comparison): VariantSummary[] {
  return tasks.flatMap((task) =>
    [false, true].flatMap((pretrained) =>
      variants.flatMap((variant) => {
        const own = runs.filter(
          (run) => run.task === task.label && run.variant === variant && run.pretrained === pretrained,
        );
        const steps = costs.find((cost) => cost.task === task.label && cost.variant === variant)?.steps;
        if (own.length === 0 && (pretrained || steps === undefined)) return [];
        const finished = own.flatMap(({ outcome, seed }) =>
          "result" in outcome ? [{ seed, result: outcome.result }] : [],
        );
        const failures = own.flatMap(({ outcome, seed }) =>
          "failure" in outcome ? [`seed ${seed}: ${outcome.failure}`] : [],
        );
        const results = finished.map(({ result }) => result);
        const over = (value: (result: RunResult) => number | undefined) => {
          const known = results.flatMap((result) => value(result) ?? []);
          return known.length === 0 ? undefined : spread(known);
        };
        return [
          {
            task: task.label,
            variant,
            pretrained,
            seeds: finished.map(({ seed }) => seed),
            failures,
            metrics: spreads(results.map(({ metrics }) => metrics)),
            ...scoredOf(results),
            byLength: task.lengths.map((length) => figuresAt(results, length)),
            ...present({ steps }),
            ...present({
              trainTokensPerSecond: over((result) => result.trainTokensPerSecond),
              evalTokensPerSecond: over((result) => result.evalTokensPerSecond),
              peakBytes: over((result) => result.peakBytes),
              seconds: over((result) => result.seconds),
              parameters: results[0]?.parameters,
            }),
          },
        ];
      }),
    ),
  );
}

function figuresAt(results: readonly RunResult[], length: number): VariantSummary["byLength"][number] {
  if (results.length === 0) return { length, missing: "failed" };
  const cells = results.map(({ byLength }) => byLength.find((cell) => cell.length === length));
  const measured = cells.flatMap((cell) => (cell !== undefined && "metrics" in cell ? [cell] : []));
  const note = measured.find((cell) => cell.note !== undefined)?.note;
  if (measured.length > 0)
    return {
      length,
      metrics: spreads(measured.map(({ metrics }) => metrics)),
      ...scoredOf(measured),
      ...present({ note }),
    };
  const reason = cells.find(
    (cell): cell is LengthFigures & { missing: string } => cell !== undefined && "missing" in cell,
  );
  return { length, missing: reason?.missing ?? "not measured" };
}

/** Nothing where one of them does not say it. */
function scoredOf(figures: readonly { readonly scored?: Scored }[]): { scored?: Scored } {
  const known = figures.flatMap(({ scored }) => scored ?? []);
  if (known.length === 0 || known.length < figures.length) return {};
  const least = (of: keyof Scored) => Math.min(...known.map((scored) => scored[of]));
  return { scored: { tokens: least("tokens"), rows: least("rows") } };
}

function spreads(figures: readonly Figures[]): Record<string, Spread> {
  const [first = {}] = figures;
  return Object.fromEntries(Object.keys(first).map((name) => [name, spread(figures.map((one) => one[name]!))]));
}

export function spread(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { values, mean };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { values, mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}
