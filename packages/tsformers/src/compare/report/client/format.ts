import { intervalOfMean } from "../../statistics/statistics.ts";
import type { Spread } from "../../statistics/summaries.ts";
import { durationText as timeText } from "../../text/figures.ts";

/** Stands for what is missing. */
export const none = "–";

/** Between a number and its unit, where no line breaks. */
const space = "\u00a0";

const suffixes: readonly (readonly [scale: number, suffix: string])[] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** `45.2k`, `1.3M` with `digits` significant ones; small numbers as they are. JSON has null for what is not finite. */
export function countText(value: number | null | undefined, digits = 3): string {
  if (value === undefined || value === null || !Number.isFinite(value)) return none;
  const [scale, suffix] = suffixes.find(([from]) => Math.abs(value) >= from * 0.9995) ?? [1, ""];
  return `${plain(value / scale, digits)}${suffix}`;
}

/** `412 MB`, in powers of ten. */
export function bytesText(value: number | null | undefined, digits = 3): string {
  const text = countText(value, digits);
  return text === none ? none : text.replace(/([kMGT]?)$/, `${space}$1B`);
}

/** A metric: three decimals, fewer of large values. */
export function figureText(value: number | null | undefined): string {
  if (value === undefined || value === null || !Number.isFinite(value)) return none;
  return Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(3);
}

/** `1.472 ± 0.010`: a mean and half of its 95 % interval, as the terminal has it; the interval only where there are several seeds. */
export function spreadText(spread: Spread | undefined, text: (value: number) => string = figureText): string {
  if (spread === undefined) return none;
  const { low, high } = intervalOfMean(spread);
  return low === undefined || high === undefined
    ? text(spread.mean)
    : `${text(spread.mean)} ± ${text((high - low) / 2)}`;
}

/** A time as in the terminal, with spaces where no line breaks. */
export function durationText(seconds: number | undefined): string {
  return seconds === undefined || !Number.isFinite(seconds) ? none : timeText(seconds).replaceAll(" ", space);
}

/** `2,048` */
export function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

/** `2×` */
export function timesText(value: number): string {
  return `${plain(value, 3)}×`;
}

/** The number with so many significant digits, without zeros at its end. */
export function plain(value: number, digits: number): string {
  const rounded = Number(value.toPrecision(digits));
  return Math.abs(rounded) < 1e-4 && rounded !== 0 ? rounded.toExponential() : String(rounded);
}

/** `a, b and c` */
export function listed(texts: readonly string[]): string {
  return texts.length < 2 ? (texts[0] ?? "") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`;
}
