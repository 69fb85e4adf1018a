import type { CellAbout } from "../results.ts";
import type { FullConfig } from "./messages.ts";

/** Numbers of parameters may differ by this share. */
const tolerance = 0.1 + 1e-9;

/** What is compared before a cell is called equal to the others on its task. */
export type Sizes = Pick<CellAbout, "parameters" | "layers" | "modelWidth"> & {
  /** Absent where all have one budget of time or operations. */
  readonly tokens?: number;
  readonly config: Pick<FullConfig, "schedule" | "optimiser">;
};

/**
 * In what each cell of a task is not equal to the others: depth, width, tokens and schedule differ from those of most, or the number of parameters
 * by more than 10 % from the median.
 */
export function inequalities(cells: readonly Sizes[]): string[][] {
  if (cells.length < 2) return cells.map(() => []);
  const usual = <T>(of: (cell: Sizes) => T): T => mostFrequent(cells.map(of));
  const parameters = lowerMedian(cells.map((cell) => cell.parameters));
  const [layers, width, tokens] = [
    usual((cell) => cell.layers),
    usual((cell) => cell.modelWidth),
    usual((cell) => cell.tokens),
  ];
  const [schedule, optimiser] = [
    usual((cell) => cell.config.schedule.kind),
    usual((cell) => cell.config.optimiser.kind),
  ];
  return cells.map((cell) => {
    const ratio = cell.parameters / parameters;
    return [
      ...(Math.abs(ratio - 1) > tolerance ? [`${ratio.toFixed(2)} × the parameters of the median`] : []),
      ...(cell.layers === layers ? [] : [`${cell.layers} layers, most have ${layers}`]),
      ...(cell.modelWidth === width ? [] : [`width ${cell.modelWidth}, most have ${width}`]),
      ...(cell.tokens === tokens || tokens === undefined || cell.tokens === undefined
        ? []
        : [`${(cell.tokens / tokens).toFixed(2)} × the tokens of most`]),
      ...(cell.config.schedule.kind === schedule
        ? []
        : [`schedule ${cell.config.schedule.kind}, most have ${schedule}`]),
      ...(cell.config.optimiser.kind === optimiser
        ? []
        : [`optimiser ${cell.config.optimiser.kind}, most have ${optimiser}`]),
    ];
  });
}

/** The first of those that occur most often. */
function mostFrequent<T>(values: readonly T[]): T {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best))[0];
}

/** Of an even number of values the lower one of the two in the middle, so that of two variants the larger is marked, and not both or none. */
function lowerMedian(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
}
