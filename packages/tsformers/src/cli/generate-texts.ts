import { counted, PromptError } from "../generate/generate.ts";
import { LogitsError } from "../generate/sampling.ts";
import type { Generator, WrittenText } from "../run/open-generator.ts";
import { Failure, UsageError } from "./exit.ts";
import { readPrompt, sayUnknown } from "./generate-prompt.ts";
import { type GenerateFlags, writeOptions } from "./generate-settings.ts";
import type { Terminal } from "./terminal.ts";

/** The lines of a file, without empty ones at its end. @throws UsageError when there is none, or one in between is empty */
export async function promptsOf(file: string): Promise<string[]> {
  const lines = (await readPrompt(file)).split(/\r?\n/);
  while (lines.at(-1) === "") lines.pop();
  if (lines.length === 0) throw new UsageError(`--prompts-file: ${file} has no line`);
  const empty = lines.indexOf("");
  if (empty >= 0) throw new UsageError(`--prompts-file: line ${empty + 1} of ${file} is empty`);
  return lines;
}

/** Continues several prompts side by side, and prints each with what follows it, in their order; or one JSON list. */
export async function generateTexts(
  generator: Generator,
  prompts: readonly string[],
  flags: GenerateFlags,
  { signal, terminal }: { readonly signal: AbortSignal; readonly terminal: Terminal },
): Promise<void> {
  if (generator.texts === undefined)
    throw new UsageError("--prompts-file: is for a model that goes on behind its prompt, without --store");
  sayUnknown(prompts.join(""), generator, terminal);
  const start = performance.now();
  const options = { ...writeOptions(flags, generator), stop: flags.stop ?? [], signal };
  const written = await generator.texts(prompts, options).catch((error: unknown) => {
    if (error instanceof PromptError) throw new UsageError(error.message);
    throw error instanceof LogitsError ? new Failure("failed", error.message) : error;
  });
  const tokens = written.reduce((sum, one) => sum + one.tokens, 0);
  const seconds = (performance.now() - start) / 1000;
  const results = written.map(({ text, ended, tokens }, i) => ({ prompt: prompts[i]!, text, ended, tokens }));
  if (flags.json) terminal.out(JSON.stringify({ results, seconds, tokensPerSecond: tokens / seconds }, null, 2));
  else for (const [i, one] of written.entries()) terminal.out(`${i === 0 ? "" : "\n"}${prompts[i]}${one.text}`);
  sayEndings(written, generator, terminal);
  if (written.some(({ ended }) => ended === "interrupted")) throw new Failure("interrupted", "interrupted");
}

function sayEndings(written: readonly WrittenText[], { maxLength }: Generator, terminal: Terminal): void {
  for (const [i, { ended, tokens }] of written.entries()) {
    if (ended !== "positions") continue;
    terminal.log(`prompt ${i + 1} stopped after ${counted(tokens)}: this model has learned ${maxLength} positions`);
  }
}
