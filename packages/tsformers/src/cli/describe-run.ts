import { evaluate, type NDArray, ndarray, type Tensor } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { counted, encodePrompt } from "../generate/generate.ts";
import { evaluation } from "../kinds/layer.ts";
import { countParameters } from "../run/count-parameters.ts";
import { type OpenedModel, openModel } from "../run/open-model.ts";
import { present } from "../schema/present.ts";
import { UsageError } from "./exit.ts";
import type { Prompt } from "./generate-prompt.ts";
import { definitionList, type Terminal, wrapText } from "./terminal.ts";

/** How many steps each token of a prompt took. */
export type PromptSteps = {
  readonly tokens: readonly { readonly text: string; readonly steps: number }[];
  /** Tokens are parts of a text, not numbers. */
  readonly isText: boolean;
  /** Of the model at most. */
  readonly most: number;
};

export type RunDescription = {
  readonly directory: string;
  readonly about: Readonly<Record<string, string>>;
  /** How far back each head of each layer sees, in positions, where heads have learned it. */
  readonly spans?: readonly (readonly number[])[];
  readonly steps?: PromptSteps;
};

/**
 * What a run, an export or a checkpoint is, and what it has learned that can be told: how far its heads look back and, with a prompt, how
 * many steps each position takes.
 *
 * @throws UsageError for a prompt to a model whose positions all take the same steps
 */
export async function describeRun(directory: string, prompt: Prompt | undefined): Promise<RunDescription> {
  const opened = await openModel(directory);
  const { run, model, params, length } = opened;
  const about = {
    ...(run !== undefined && {
      model: run.config.model.kind,
      task: run.config.task.kind,
      step: run.step.toLocaleString("en-US"),
    }),
    parameters: countParameters(params).toLocaleString("en-US"),
    length: `${length} tokens`,
  };
  const spans =
    model.category === "encoder-decoder" || model.category === "picture" ? undefined : model.spans?.(params as never);
  const steps = prompt === undefined ? undefined : await stepsOf(opened, prompt);
  return { directory, about, ...(spans !== undefined && { spans }), ...(steps !== undefined && { steps }) };
}

async function stepsOf({ directory, model, params, tokenizer, promptTokens }: OpenedModel, prompt: Prompt) {
  if (model.category === "picture")
    throw new UsageError(`${directory}: a model of pictures reads no prompt; leave it out`);
  if ("text" in prompt && tokenizer === undefined)
    throw new UsageError("this model's tokens stand for no text; give the prompt as numbers, with --prompt-tokens");
  const tokens =
    "tokens" in prompt
      ? prompt.tokens
      : encodePrompt({ ...tokenizer!, encode: promptTokens ?? tokenizer!.encode }, prompt.text);
  const wrong = tokens.find((token) => token >= model.vocabularySize);
  if (wrong !== undefined)
    throw new UsageError(`the prompt: expected tokens of 0 … ${model.vocabularySize - 1}, got ${wrong}`);
  const { maxLength: longest = Number.POSITIVE_INFINITY } =
    model.category === "encoder-decoder" ? present({ maxLength: model.maxSourceLength }) : model;
  if (tokens.length > longest)
    throw new UsageError(`the prompt has ${counted(tokens.length)}, more than the ${longest} positions of this model`);
  const pass = (params: never, tokens: Tensor) => {
    const { steps } =
      model.category === "encoder-decoder"
        ? model.encode(params, { tokens }, evaluation)
        : model.apply(params, { tokens }, evaluation);
    if (steps === undefined)
      throw new UsageError(`${directory}: all positions of this model take the same steps; leave the prompt out`);
    return steps;
  };
  const row = ndarray(Int32Array.from(tokens), [1, tokens.length], "int32");
  const device = await openDevice("cpu");
  try {
    const steps = (await evaluate(pass as never, device, params as never, row as never)) as NDArray;
    const each = steps.toNumbers();
    return {
      tokens: tokens.map((token, i) => ({ text: tokenizer?.decode([token]) ?? String(token), steps: each[i]! })),
      isText: tokenizer !== undefined,
      most: model.layers.length,
    };
  } finally {
    await device.close();
  }
}

export function renderRun({ directory, about, spans, steps }: RunDescription, terminal: Terminal): string {
  const section = (title: string, lines: readonly string[]) => ["", terminal.bold(title), ...lines];
  return [
    terminal.bold(directory),
    "",
    definitionList(Object.entries(about), terminal.columns),
    ...(spans === undefined ? [] : section("Positions back that heads see", spanLines(spans, terminal))),
    ...(steps === undefined
      ? []
      : section(`Steps of each position, ${steps.most} at most`, stepLines(steps, terminal))),
  ].join("\n");
}

/** A line for each layer: the farthest as a bar, and the span of each head. */
export function spanLines(spans: readonly (readonly number[])[], { columns, unicode }: Drawing): string[] {
  const farthest = Math.max(...spans.flat());
  const width = Math.min(20, Math.max(4, columns - 50));
  const label = String(spans.length - 1).length;
  return spans.map((own, layer) => {
    const filled = Math.max(1, Math.round((width * Math.max(...own)) / farthest));
    const bar = (unicode ? "█" : "#").repeat(filled).padEnd(width);
    const head = `  layer ${String(layer).padStart(label)}  ${bar}  `;
    return head + wrapText(own.join(" "), columns - head.length, head.length);
  });
}

type Drawing = Pick<Terminal, "columns" | "unicode">;

/** Heights of a bar. */
const bars = "▁▂▃▄▅▆▇█";

/**
 * Rows of tokens with a bar above each whose height is its share of the most steps; its number of steps where bars cannot be shown. Characters
 * follow each other directly, longer tokens and numbers with spaces between them.
 */
export function stepLines({ tokens, isText, most }: PromptSteps, { columns, unicode }: Drawing): string[] {
  const barOf = (steps: number) => bars[Math.max(0, Math.ceil((steps * bars.length) / most) - 1)]!;
  const digitOf = (steps: number) => (steps < 10 ? String(steps) : "+");
  const cells = tokens.map(({ text, steps }) => ({ text: shown(text), mark: (unicode ? barOf : digitOf)(steps) }));
  const rows: { marks: string; texts: string }[] = [];
  const gap = isText && cells.every(({ text }) => [...text].length === 1) ? 0 : 1;
  for (const { text, mark } of cells) {
    const width = [...text].length;
    const last = rows.at(-1);
    if (last === undefined || [...last.texts].length + width + gap > columns - 2) rows.push({ marks: "", texts: "" });
    const row = rows.at(-1)!;
    row.marks += mark.repeat(width) + " ".repeat(gap);
    row.texts += text + " ".repeat(gap);
  }
  const mean = tokens.reduce((sum, { steps }) => sum + steps, 0) / tokens.length;
  return [
    ...rows.flatMap(({ marks, texts }) => [`  ${marks.trimEnd()}`, `  ${texts.trimEnd()}`]),
    `  mean ${mean.toFixed(2)}`,
  ];
}

/** Text without line feeds and other characters that move the cursor. */
function shown(text: string): string {
  return text.replace(/\n/g, "¶").replace(/\p{C}/gu, "·");
}
