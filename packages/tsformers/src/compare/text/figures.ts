/** Numbers as people read them, the same in the terminal and in the report. */

/** `45.2k`, `1.3M`. */
export function countText(count: number): string {
  if (count < 999.5) return count.toFixed(0);
  if (count < 99_950) return `${(count / 1000).toFixed(1)}k`;
  if (count < 999_500) return `${(count / 1000).toFixed(0)}k`;
  return count < 999.5e6 ? `${(count / 1e6).toFixed(1)}M` : `${(count / 1e9).toFixed(1)}G`;
}

/** `412 MB`, `1.3 GB` (powers of ten). */
export function bytesText(bytes: number): string {
  return bytes < 999.5e6 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** A multiple of the training length: `2×`; fractions as `0.5×`. */
export function multipleText(length: number, trainLength: number): string {
  return `${Number((length / trainLength).toFixed(2))}×`;
}

/** `2.5 s`, `42 s`, `3 min 05 s`, `2 h 01 min` */
export function durationText(seconds: number): string {
  if (seconds < 9.95) return `${Number(seconds.toPrecision(2))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  const two = (count: number) => String(count).padStart(2, "0");
  return minutes < 60
    ? `${minutes} min ${two(whole % 60)} s`
    : `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** Peak resident memory of this process in bytes; `maxRSS` is in kilobytes. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS * 1024;
}
