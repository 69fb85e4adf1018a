import type { Device } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { Command, Option } from "commander";
import { counted, drained, PromptError, type Written } from "../generate/generate.ts";
import { LogitsError } from "../generate/sampling.ts";
import { type Generator, generatorOf } from "../run/open-generator.ts";
import { type OpenedModel, openModel } from "../run/open-model.ts";
import { count } from "../schema/count.ts";
import { present } from "../schema/present.ts";
import { parseCount, parseCounts, parseNumber, parseShare } from "./config-flags.ts";
import { Failure, interruption, UsageError } from "./exit.ts";
import { generatePictures, usualPictures } from "./generate-pictures.ts";
import { givenPrompt, type Prompt, sayUnknown, usualPrompt } from "./generate-prompt.ts";
import { type GenerateFlags, requireSense, usualTokens, writeOptions } from "./generate-settings.ts";
import { generateTexts, promptsOf } from "./generate-texts.ts";
import type { Terminal } from "./terminal.ts";

/** `tsformers generate DIR`: writes on, token by token. */
export function generateCommand(terminal: Terminal): Command {
  return new Command("generate")
    .argument("<dir>", "directory of the run or checkpoint")
    .option("--prompt <text>", "what comes before, or what is answered. Default: a line feed, where the model knows it")
    .option("--prompt-file <file>", "read the prompt from a file; - is standard input")
    .option("--prompt-tokens <n,n,…>", "the prompt as token numbers; prints numbers", parseCounts0)
    .option(
      "--prompts-file <file>",
      "continue every line of a file, side by side, each as it would be alone; - is standard input",
    )
    .option("--max-tokens <n>", `how many tokens to write at most. Default: ${usualTokens}`, parseCount())
    .option(
      "--temperature <x>",
      "0 takes the most likely token; larger is wilder. Default: 0.8; of encoder-decoders 0, where no other flag draws; of pictures 1",
      parseNumber,
    )
    .option("--top-k <n>", "draw from this many most likely tokens only", parseCount())
    .option("--top-p <x>", "draw from the fewest tokens that together are this likely", parseNumber)
    .option("--seed <n>", "the same seed gives the same text. Default: 0", parseCount(0))
    .option(
      "--beams <n>",
      "of encoder-decoders: search with so many candidates instead of drawing",
      parseCount(1, count(256, "each is a row of every step")),
    )
    .option(
      "--length-penalty <x>",
      "with --beams: divide log-probabilities by length to this power; less prefers short answers. Default: 1",
      parseNumber,
    )
    .option("--stop <text>", "end before this text; may be given several times", (text: string, all: string[] = []) => [
      ...all,
      text,
    ])
    .option("--stop-tokens <n,n,…>", "end before any of these tokens", parseCounts0)
    .option("--store <dir>", "mix with what a datastore of `tsformers store build` holds (kNN-LM)")
    .option("--nearest <n>", "with --store: neighbours. Default: 1024, as far as there are entries", parseCount())
    .option("--lambda <x>", "with --store: share of the neighbours. Default: 0.25", parseShare)
    .option("--ignore-end", "never take the model's own end tokens, and go on")
    .option("--output <file>", "of models of pictures: the PNG that is written")
    .option("--pictures <n>", `of models of pictures: how many. Default: ${usualPictures}`, parseCount())
    .option(
      "--complete",
      "of models of pictures: draw the lower halves of test pictures, which are read from the run's data",
    )
    .option(
      "--input <file>",
      "of models of larger pictures: the PNG that they draw from. Default: test pictures, which are made smaller",
    )
    .addOption(new Option("--device <name>", "where it runs").choices(["cpu", "webgpu", "cuda"]).default("cpu"))
    .option("--json", "print one JSON object at the end instead of streaming")
    .addHelpText(
      "after",
      `
A flag that would do nothing is an error.

Examples:
  tsformers generate runs/book --prompt "Once upon a time"
  tsformers generate runs/book --prompt-file start.txt --temperature 0 --max-tokens 50 --stop "The end"
  tsformers generate gpt2 --prompt-tokens 464,3290 --top-p 0.9 --seed 7 --stop-tokens 13
  tsformers generate runs/book --store stores/book --lambda 0.5 --prompt "Once upon a time"
  tsformers generate t5-small --prompt "translate English to German: Good morning." --beams 4
  tsformers generate runs/book --prompts-file beginnings.txt --max-tokens 40 --json
  tsformers generate runs/copy --prompt-tokens 3,1,4 --max-tokens 3 --json
  tsformers generate runs/tiles --output drawn.png --pictures 25
  tsformers generate runs/tiles --output completed.png --complete --pictures 8
  tsformers generate runs/larger --output large.png --input small.png`,
    )
    .action(async (directory: string, flags: GenerateFlags) => {
      requireSense(flags);
      const given = await givenPrompt(flags);
      const prompts = flags.promptsFile === undefined ? undefined : await promptsOf(flags.promptsFile);
      const { signal, release } = interruption();
      const device = await openDevice(flags.device);
      try {
        const opened = await openModel(directory);
        const { model } = opened;
        if (model.category === "picture") {
          for (const note of opened.notes) terminal.log(note);
          await generatePictures({ ...opened, model }, flags, { terminal, device, signal });
          return;
        }
        const mixed = flags.store === undefined ? undefined : await mixedWith(flags.store, opened, device, flags);
        const generator = generatorOf(opened, device, mixed?.mixing);
        for (const note of generator.notes) terminal.log(note);
        requireSense(flags, generator);
        if (prompts !== undefined) {
          await generateTexts(generator, prompts, flags, { terminal, signal });
          await generator.release();
          return;
        }
        const prompt = given ?? usualPrompt(generator);
        if (given === undefined) sayUsual(prompt, terminal);
        if ("text" in prompt) sayUnknown(prompt.text, generator, terminal);
        await write(generator, prompt, flags, { signal, terminal });
        await generator.release();
        await mixed?.release();
      } finally {
        release();
        await device.close();
      }
    });
}

/** @throws UsageError for a model that no datastore goes with */
async function mixedWith(store: string, opened: OpenedModel, device: Device, flags: GenerateFlags) {
  if (opened.model.category !== "decoder")
    throw new UsageError("--store: is for a model that goes on behind its prompt, which this one does not");
  const { openMixing } = await import("./generate-store.ts");
  return openMixing(opened, device, { store, ...present({ nearest: flags.nearest, lambda: flags.lambda }) });
}

function sayUsual(prompt: Prompt, terminal: Terminal): void {
  if ("text" in prompt && prompt.text !== "\n")
    terminal.log(
      `no prompt was given, and this model knows no line feed: it begins behind ${JSON.stringify(prompt.text)}`,
    );
}

/** Streams what is written, or collects it for one JSON object; what came before an error is shown, too. */
async function write(
  generator: Generator,
  prompt: Prompt,
  flags: GenerateFlags,
  { signal, terminal }: { readonly signal: AbortSignal; readonly terminal: Terminal },
): Promise<void> {
  const start = performance.now();
  const made: (string | number)[] = [];
  const show = (value: string | number) => {
    if (!flags.json) terminal.write(typeof value === "number" ? `${made.length === 0 ? "" : " "}${value}` : value);
    made.push(value);
  };
  /** What there is, with how it ended. */
  const result = ({ tokens, ...end }: { readonly ended: string; readonly tokens?: number }) => {
    const seconds = (performance.now() - start) / 1000;
    const speed = tokens === undefined ? {} : { tokensPerSecond: tokens / seconds };
    return { ...outcome(prompt, made), ...end, seconds, ...speed };
  };
  const endLine = () => {
    if (!flags.json) terminal.out("");
  };
  let written: Written;
  try {
    written = await drained(writing(generator, prompt, flags, signal), show);
  } catch (error) {
    if (error instanceof PromptError) throw new UsageError(error.message);
    if (!(error instanceof LogitsError)) throw error;
    if (made.length > 0) endLine();
    throw new Failure("failed", error.message, result({ ended: "error" }));
  }
  endLine();
  if (written.ended === "interrupted") throw new Failure("interrupted", "interrupted", result(written));
  if (flags.json) terminal.out(JSON.stringify(result(written), null, 2));
  if (written.ended === "positions")
    terminal.log(`stopped after ${counted(written.tokens)}: this model has learned ${generator.maxLength} positions`);
}

function writing(
  generator: Generator,
  prompt: Prompt,
  flags: GenerateFlags,
  signal: AbortSignal,
): AsyncGenerator<string | number, Written> {
  const options = { ...writeOptions(flags, generator), signal };
  return "tokens" in prompt
    ? generator.tokens(prompt.tokens, options)
    : generator.text(prompt.text, { ...options, stop: flags.stop ?? [] });
}

function outcome(prompt: Prompt, made: readonly (string | number)[]): Record<string, unknown> {
  return "tokens" in prompt ? { prompt: prompt.tokens, tokens: made } : { prompt: prompt.text, text: made.join("") };
}

function parseCounts0(text: string): number[] {
  return parseCounts(text, 0);
}
