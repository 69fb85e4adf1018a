import type { Estimate, SpreadComparison } from "../statistics/statistics.ts";
import { bytesText, multipleText } from "./figures.ts";
import { lengthText } from "./sentences.ts";

/** Stands for what is missing in a table. */
export const none = "–";

/** `1.472`; from 100 on with one digit after the point. */
export function figureText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : String(value);
  const text = Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(3);
  return text === "-0.000" ? "0.000" : text.replace("-", "−");
}

/** `1.472 ± 0.010`: a mean and half its interval, if it has one. */
export function estimateText({ mean, low, high }: Estimate): string {
  return `${figureText(mean)}${halfText(low, high)}`;
}

/** `+0.020 ± 0.025`, with a star where the interval excludes 0. */
export function differenceText({ difference, low, high, verdict }: SpreadComparison): string {
  const isTold = verdict === "better" || verdict === "worse";
  return `${signedText(difference)}${halfText(low, high)}${isTold ? " *" : ""}`;
}

/** `+0.020`, `−0.310`, `0.000` */
export function signedText(difference: number): string {
  const text = figureText(difference);
  return difference < 0 || text === "0.000" ? text : `+${text}`;
}

function halfText(low: number | undefined, high: number | undefined): string {
  return low === undefined || high === undefined ? "" : ` ± ${figureText((high - low) / 2)}`;
}

/** `1` or `1–3` */
export function rankText({ from, to }: { readonly from: number; readonly to: number }): string {
  return from === to ? `${from}` : `${from}–${to}`;
}

/** A metric's label without what stands in brackets: `loss`, `token accuracy`. */
export function shortLabel(label: string): string {
  return label
    .replace(/ \(.*\)$/, "")
    .replace("bits per character", "bits/char")
    .replace("bits per byte", "bits/byte");
}

/** `512 B`, `64 kB`, `1.3 MB`, and from there as {@link bytesText}. */
export function smallBytesText(bytes: number): string {
  if (bytes < 1000) return `${lengthText(bytes)} B`;
  if (bytes < 999_500) return `${Number((bytes / 1000).toPrecision(3))} kB`;
  return bytes < 99.5e6 ? `${Number((bytes / 1e6).toPrecision(2))} MB` : bytesText(bytes);
}

/** `2× (1,024)` */
export function lengthHeader(length: number, trainLength: number): string {
  return `${multipleText(length, trainLength)} (${lengthText(length)})`;
}

/** The text of a value that may be missing. */
export function optional<T>(value: T | undefined, text: (value: T) => string, missing: string = none): string {
  return value === undefined ? missing : text(value);
}
