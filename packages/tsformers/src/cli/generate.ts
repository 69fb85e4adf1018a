import { readFileSync } from "node:fs";
import { openDevice } from "@tsformers/engine/node";
import { Command, Option } from "commander";
import { type Generator, openGenerator } from "../run/open-generator.ts";
import { parseCount, parseCounts, parseNumber } from "./config-flags.ts";
import { Failure, interruption, UsageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

type GenerateFlags = {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly promptTokens?: readonly number[];
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
  readonly stop: readonly string[];
  readonly device: "cpu" | "webgpu" | "cuda";
  readonly json?: true;
};

/** `tsformers generate DIR`: writes on, token by token. */
export function generateCommand(terminal: Terminal): Command {
  return new Command("generate")
    .description("let a trained run, or a Hugging Face checkpoint, write on behind a prompt")
    .argument("<dir>", "directory of the run or checkpoint")
    .option("--prompt <text>", "what comes before; a line feed unless given")
    .option("--prompt-file <file>", "read the prompt from a file; - is standard input")
    .option("--prompt-tokens <n,n,…>", "the prompt as token numbers; prints numbers", parseCounts0)
    .option("--max-tokens <n>", "how many tokens to write at most", parseCount(), 200)
    .option("--temperature <x>", "0 takes the most likely token; larger is wilder", parseNumber, 0.8)
    .option("--top-k <n>", "draw from this many most likely tokens only", parseCount())
    .option("--top-p <x>", "draw from the fewest tokens that together are this likely", parseNumber)
    .option("--seed <n>", "the same seed gives the same text", parseCount(0), 0)
    .option(
      "--stop <text>",
      "end before this text; may be given several times",
      (text: string, all: string[]) => [...all, text],
      [],
    )
    .addOption(new Option("--device <name>", "where it runs").choices(["cpu", "webgpu", "cuda"]).default("cpu"))
    .option("--json", "print one JSON object at the end instead of streaming")
    .addHelpText(
      "after",
      '\nExamples:\n  tsformers generate runs/book --prompt "Once upon a time"\n  tsformers generate runs/book --temperature 0 --max-tokens 50\n  tsformers generate runs/copy --prompt-tokens 3,1,4,0 --json',
    )
    .action(async (directory: string, options: GenerateFlags) => {
      checkSampling(options);
      const { signal, release } = interruption();
      const device = await openDevice(options.device);
      try {
        const generator = await openGenerator(directory, device);
        const start = performance.now();
        const prompt = promptOf(options, generator);
        const made: (string | number)[] = [];
        for await (const piece of writing(generator, prompt, options)) {
          if (!options.json)
            terminal.write(typeof piece === "number" ? `${made.length === 0 ? "" : " "}${piece}` : piece);
          made.push(piece);
          if (signal.aborted) break;
        }
        const seconds = (performance.now() - start) / 1000;
        await generator.release();
        if (!options.json) terminal.out("");
        if (signal.aborted) throw new Failure("interrupted", "interrupted", outcome(prompt, made, seconds));
        if (options.json) terminal.out(JSON.stringify(outcome(prompt, made, seconds), null, 2));
      } finally {
        release();
        await device.close();
      }
    });
}

type Prompt = { readonly text: string } | { readonly tokens: readonly number[] };

function promptOf({ prompt, promptFile, promptTokens }: GenerateFlags, { tokenizer }: Generator): Prompt {
  if ([prompt, promptFile, promptTokens].filter((given) => given !== undefined).length > 1) {
    throw new UsageError("--prompt, --prompt-file and --prompt-tokens all give the prompt; take one of them");
  }
  if (promptTokens !== undefined) return { tokens: promptTokens };
  if (tokenizer === undefined)
    throw new UsageError("this model's tokens stand for no text; give the prompt as numbers, with --prompt-tokens");
  const text = promptFile === undefined ? (prompt ?? "\n") : readPrompt(promptFile);
  if (text === "") throw new UsageError("the prompt is empty; give at least one character");
  return { text };
}

function readPrompt(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    throw new UsageError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}

function writing(generator: Generator, prompt: Prompt, flags: GenerateFlags): AsyncIterable<string | number> {
  const { maxTokens: count, temperature, seed, topK, topP, stop } = flags;
  const options = {
    count,
    temperature,
    seed,
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
  };
  return "tokens" in prompt
    ? generator.tokens(prompt.tokens, options)
    : generator.text(prompt.text, { ...options, stop });
}

function outcome(prompt: Prompt, made: readonly (string | number)[], seconds: number): Record<string, unknown> {
  return "tokens" in prompt
    ? { prompt: prompt.tokens, tokens: made, seconds }
    : { prompt: prompt.text, text: made.join(""), seconds };
}

function checkSampling({ temperature, topP }: GenerateFlags): void {
  if (temperature < 0) throw new UsageError(`--temperature: expected 0 or more, got ${temperature}`);
  if (topP !== undefined && !(topP > 0 && topP <= 1))
    throw new UsageError(`--top-p: expected a number above 0 and at most 1, got ${topP}`);
}

function parseCounts0(text: string): number[] {
  return parseCounts(text, 0);
}
