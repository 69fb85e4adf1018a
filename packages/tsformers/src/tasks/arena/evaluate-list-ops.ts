/** The operators of ListOps, each a function of at least one digit: its result is a digit, too. */
export const listOperators: Readonly<Record<string, (digits: readonly number[]) => number>> = {
  MIN: (digits) => Math.min(...digits),
  MAX: (digits) => Math.max(...digits),
  /** The mean of the two in the middle if they are even in number, without its fraction. */
  MED: (digits) => {
    const sorted = [...digits].sort((a, b) => a - b);
    const half = sorted.length / 2;
    return Math.floor((sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2);
  },
  /** The sum modulo 10. */
  SM: (digits) => digits.reduce((sum, digit) => sum + digit, 0) % 10,
};

/**
 * The value of a ListOps expression, 0 … 9: `[MAX 2 9 [MIN 4 7 ] 0 ]` is 9.
 *
 * Symbols stand between spaces. Parentheses, which the published files have as well, mean nothing; `X` is another `]`.
 *
 * @throws RangeError at the first symbol that is out of place
 */
export function evaluateListOps(text: string): number {
  const symbols = text.split(/\s+/).filter((symbol) => symbol !== "" && symbol !== "(" && symbol !== ")");
  return evaluateSymbols(symbols);
}

/** {@link evaluateListOps} of symbols without parentheses. */
export function evaluateSymbols(symbols: readonly string[]): number {
  const result: number[] = [];
  const open: { readonly apply: (digits: readonly number[]) => number; readonly digits: number[] }[] = [];
  for (const [place, symbol] of symbols.entries()) {
    const wrong = (expected: string): RangeError =>
      new RangeError(`listops: symbol ${place + 1}: expected ${expected}, got ${JSON.stringify(symbol)}`);
    if (open.length === 0 && result.length > 0) throw wrong("the end of the expression");
    const digits = open.at(-1)?.digits ?? result;
    if (/^\d$/.test(symbol)) digits.push(Number(symbol));
    else if (symbol === "]" || symbol === "X") {
      const closed = open.pop();
      if (closed === undefined || closed.digits.length === 0) throw wrong("a digit or an operator");
      (open.at(-1)?.digits ?? result).push(closed.apply(closed.digits));
    } else {
      const name = symbol.slice(1);
      if (!(symbol.startsWith("[") && Object.hasOwn(listOperators, name)))
        throw wrong(
          `a digit, "]" or one of ${Object.keys(listOperators)
            .map((known) => `"[${known}"`)
            .join(", ")}`,
        );
      open.push({ apply: listOperators[name]!, digits: [] });
    }
  }
  if (open.length > 0 || result.length === 0)
    throw new RangeError(`listops: the expression ends too early, with ${open.length} operators open`);
  return result[0]!;
}
