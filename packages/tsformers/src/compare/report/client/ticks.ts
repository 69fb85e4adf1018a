/** Round numbers within a range, about `count` of them. */
export function linearTicks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.8)!;
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Leading digits of ticks on a logarithmic axis, the sparsest first. */
const leading = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]];
/** Fewer ticks say little. */
const enough = 4;

/** Round numbers within a range of positive ones, at most about `count`, for a logarithmic axis. */
export function logTicks(low: number, high: number, count: number): number[] {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const inside = (tick: number) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9);
  const ticksOf = (digits: readonly number[]) =>
    powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`))).filter(inside);
  const candidates = leading.map(ticksOf).filter((ticks) => ticks.length <= count);
  if (candidates.length === 0) {
    const decades = ticksOf([1]);
    const every = Math.ceil(decades.length / Math.max(1, count));
    return decades.filter((_, i) => i % every === 0);
  }
  const ticks = candidates.find((one) => one.length >= Math.min(enough, count)) ?? candidates.at(-1)!;
  // Within less than a decade equal steps give more round numbers.
  const even = high / low < 10 ? linearTicks(low, high, count) : [];
  return ticks.length < Math.min(enough, count) && even.length > ticks.length ? even : ticks;
}

/** Texts of ticks, with as many digits as they need to differ from each other. */
export function tickTexts(ticks: readonly number[], text: (value: number, digits: number) => string): string[] {
  for (let digits = 2; digits < 12; digits++) {
    const texts = ticks.map((tick) => text(tick, digits));
    const isExact = ticks.every((tick) => Math.abs(Number(tick.toPrecision(digits)) - tick) <= Math.abs(tick) * 1e-9);
    if (isExact && new Set(texts).size === ticks.length) return texts;
  }
  return ticks.map(String);
}

/** Numbers with the same decimals: 3.40, 3.45. Nothing where they would need very many. */
export function decimalTexts(ticks: readonly number[]): string[] | undefined {
  for (let decimals = 0; decimals <= 6; decimals++) {
    const texts = ticks.map((tick) => tick.toFixed(decimals));
    if (ticks.every((tick, i) => Math.abs(Number(texts[i]) - tick) <= Math.abs(tick) * 1e-9)) return texts;
  }
  return undefined;
}
