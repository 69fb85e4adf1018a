import { wrapLines } from "../compare/text/wrap.ts";

/** What commands write to: results on `out`, everything else on `log`. */
export type Terminal = {
  out(text: string): void;
  /** Like `out`, without the end of the line. */
  write(text: string): void;
  log(text: string): void;
  /** Width of the results' terminal; 100 where there is none. */
  readonly columns: number;
  /** Whether more than ASCII can be shown. */
  readonly unicode: boolean;
  bold(text: string): string;
  dim(text: string): string;
};

/** Narrower than this nothing is laid out. */
const narrowest = 24;

/**
 * The terminal of this process. Colours only where results go to a terminal, and not with `NO_COLOR` or `TERM=dumb`.
 *
 * @param options.columns width, when known better than by the stream
 */
export function processTerminal(options: { readonly columns?: number } = {}): Terminal {
  const { stdout, stderr, env } = process;
  const colour = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
  const columns = options.columns ?? (stdout.isTTY ? stdout.columns : Number(env.COLUMNS) || 100);
  const wrapped = (code: number) => (text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    out: (text) => void stdout.write(`${text}\n`),
    write: (text) => void stdout.write(text),
    log: (text) => void stderr.write(`${text}\n`),
    columns: Math.max(columns || 100, narrowest),
    unicode: showsUnicode(env),
    bold: wrapped(1),
    dim: wrapped(2),
  };
}

/** No locale at all says nothing; one without UTF-8, and terminals that are known to lack glyphs, say no. */
function showsUnicode({ LC_ALL, LC_CTYPE, LANG, TERM }: NodeJS.ProcessEnv): boolean {
  const locale = LC_ALL || LC_CTYPE || LANG;
  return TERM !== "dumb" && TERM !== "linux" && (!locale || /utf-?8/i.test(locale));
}

/** Text broken at spaces into pieces of at most `columns`, and at its line breaks; further lines begin with `indent` spaces before theirs. */
export function wrapText(text: string, columns: number, indent = 0): string {
  return text
    .split("\n")
    .flatMap((line) => wrapLines(line, columns))
    .join(`\n${" ".repeat(indent)}`);
}

/** Names with a text each, aligned; on narrow terminals the text goes below its name. */
export function definitionList(entries: readonly (readonly [name: string, text: string])[], columns: number): string {
  const width = Math.max(...entries.map(([name]) => name.length)) + 4;
  if (columns - width < 30) {
    return entries.map(([name, text]) => `  ${name}\n    ${wrapText(text, columns - 4, 4)}`).join("\n");
  }
  return entries
    .map(([name, text]) => `  ${name.padEnd(width - 2)}${wrapText(text, columns - width, width)}`)
    .join("\n");
}
