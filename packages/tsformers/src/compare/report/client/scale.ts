import type { AxisSpec } from "./chart-spec.ts";
import { decimalTexts, linearTicks, logTicks, tickTexts } from "./ticks.ts";

/** An axis in its own coordinates: logarithms where it is logarithmic. */
export type Scale = {
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
  project(value: number): number;
};

/** @param count about how many ticks there is room for */
export function scaleOf(axis: AxisSpec, values: readonly number[], count: number): Scale {
  const isLog = axis.scale === "log";
  const project = isLog ? Math.log10 : (value: number) => value;
  const usable = values.filter((value) => Number.isFinite(value) && (!isLog || value > 0));
  const [low, high] = [Math.min(...usable), Math.max(...usable)].map(project) as [number, number];
  const room = high > low ? (axis.tight ? 0 : (high - low) * 0.05) : isLog ? 0.2 : Math.abs(low) * 0.1 || 1;
  const missing = isLog ? Math.log10(axis.leastRatio ?? 1) - (high - low) : 0;
  const [min, max] = [low - Math.max(room, missing / 2), high + Math.max(room, missing / 2)];
  const inverse = (value: number) => (isLog ? 10 ** value : value);
  const ticks =
    fewer(axis.ticks, Math.round(count * 1.3)) ?? (isLog ? logTicks : linearTicks)(inverse(min), inverse(max), count);
  const within = ticks.filter((tick) => project(tick) >= min - 1e-9 && project(tick) <= max + 1e-9);
  const isPlain = axis.scale === "linear" && within.every((tick) => Math.abs(tick) < 1000);
  const decimals = isPlain && axis.ticks === undefined ? decimalTexts(within) : undefined;
  const texts = decimals ?? tickTexts(within, axis.tick);
  return { min, max, project, ticks: within.map((tick, i) => ({ at: project(tick), text: texts[i]! })) };
}

/** Every second of given ticks, or fewer, where there is no room for all. */
function fewer(ticks: readonly number[] | undefined, count: number): readonly number[] | undefined {
  if (ticks === undefined) return undefined;
  const every = Math.ceil(ticks.length / Math.max(2, count));
  return ticks.filter((_, i) => i % every === 0);
}
