import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { listed } from "../generate/generate.ts";
import { fileError } from "../io/file-error.ts";
import { decodeText } from "../io/read-text.ts";
import type { Generator } from "../run/open-generator.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import { UsageError } from "./exit.ts";
import type { GenerateFlags } from "./generate-settings.ts";
import type { Terminal } from "./terminal.ts";

export type Prompt = { readonly text: string } | { readonly tokens: readonly number[] };

/**
 * The prompt that was given, if one was.
 *
 * @throws UsageError when there are several, or there is nothing in it; Error when a file is not text
 */
export async function givenPrompt({
  prompt,
  promptFile,
  promptTokens,
  promptsFile,
}: Pick<GenerateFlags, "prompt" | "promptFile" | "promptTokens" | "promptsFile">): Promise<Prompt | undefined> {
  if ([prompt, promptFile, promptTokens, promptsFile].filter((given) => given !== undefined).length > 1) {
    throw new UsageError(
      "--prompt, --prompt-file, --prompt-tokens and --prompts-file all give what to continue; take one of them",
    );
  }
  if (promptTokens !== undefined) return { tokens: promptTokens };
  const text = promptFile === undefined ? prompt : await readPrompt(promptFile);
  if (text === "") throw new UsageError("the prompt is empty; give at least one character");
  return text === undefined ? undefined : { text };
}

/** The text of a file, or of standard input where it is called `-`. @throws Error when it cannot be read or is no text */
export async function readPrompt(path: string): Promise<string> {
  if (path === "-") return decodeText(await buffer(process.stdin), "standard input");
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
  return decodeText(bytes, path);
}

/** Tells which characters of a prompt a model does not know. */
export function sayUnknown(text: string, { tokenizer }: Generator, terminal: Terminal): void {
  const unknown = tokenizer?.unknownIn(text) ?? [];
  if (unknown.length > 0 && unknown.length < new Set(text).size)
    terminal.log(`not in this model's alphabet, and read as unknown: ${listed(unknown)}`);
}

/**
 * What a model begins behind when nothing was given: a line feed where it knows that, otherwise a space or its first letter.
 *
 * @throws UsageError when it needs a prompt
 */
export function usualPrompt({ category, tokenizer }: Generator): Prompt {
  if (tokenizer === undefined)
    throw new UsageError("this model's tokens stand for no text; give the prompt as numbers, with --prompt-tokens");
  if (category === "encoder-decoder")
    throw new UsageError("this model answers what it reads; give that with --prompt, --prompt-file or --prompt-tokens");
  const isKnown = (text: string) => tokenizer.unknownIn(text).length === 0 && tokenizer.encode(text).length > 0;
  const text = ["\n", " "].find(isKnown) ?? firstLetter(tokenizer, isKnown);
  if (text === undefined) throw new UsageError("give a prompt, with --prompt or --prompt-tokens");
  return { text };
}

function firstLetter(tokenizer: Tokenizer, isKnown: (text: string) => boolean): string | undefined {
  for (let token = 0; token < tokenizer.vocabularySize; token++) {
    const text = tokenizer.decode([token]);
    if (isKnown(text)) return text;
  }
  return undefined;
}
