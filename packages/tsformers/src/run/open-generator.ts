import { type Concrete, type Device, flatten, isNdArray } from "@tsformers/engine";
import type { BeamOptions } from "../generate/beam-search.ts";
import { type Decoder, openDecoder } from "../generate/decoder.ts";
import {
  counted,
  drained,
  encodePrompt,
  type GenerateOptions,
  generate,
  generateRows,
  PromptError,
  type RowToken,
  textOf,
  type Written,
} from "../generate/generate.ts";
import { LogitsError } from "../generate/sampling.ts";
import { openSequenceDecoder, type SequenceDecoder } from "../generate/sequence-decoder.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { present } from "../schema/present.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import { ConfigError } from "./config-error.ts";
import { type OpenedModel, openModel } from "./open-model.ts";

/** A model ready to generate. */
export type Generator = {
  /** A decoder continues its prompt; an encoder-decoder reads it as source and answers with a sequence of its own. */
  readonly category: "decoder" | "encoder-decoder";
  readonly vocabularySize: number;
  /** Absent if tokens do not represent text. */
  readonly tokenizer?: Tokenizer;
  /** Tokens with which the model ends a sequence. */
  readonly endTokens: readonly number[];
  /** Number of learned positions; absent if there is no limit. */
  readonly maxLength?: number;
  /** Notes for the user, for example that a damaged checkpoint was skipped. */
  readonly notes: readonly string[];
  /**
   * Tokens that follow a prompt, yielded as they are generated; the return value says why they end.
   *
   * @throws PromptError when the model cannot read the prompt; LogitsError when its logits stop being finite
   */
  tokens(prompt: readonly number[], options: WriteOptions): AsyncGenerator<number, Written>;
  /** Text that follows a prompt, yielded as it is generated. Needs a tokenizer. Unknown characters are read as its unknown token. */
  text(prompt: string, options: WriteOptions & { readonly stop?: readonly string[] }): AsyncGenerator<string, Written>;
  /**
   * Texts that follow several prompts of any lengths, which are continued side by side: each as {@link text} would give it alone. Absent of a model that answers, or
   * that a datastore is mixed with.
   *
   * @throws PromptError that names the prompt, from 1, which the model cannot read
   */
  readonly texts?: (prompts: readonly string[], options: TextsOptions) => Promise<WrittenText[]>;
  release(): Promise<void>;
};

/** As of {@link generate}: beams are for a model that answers. */
export type TextsOptions = GenerateOptions & { readonly stop?: readonly string[] };

export type WrittenText = Written & { readonly text: string };

/** Options of {@link generate}. Default of `endTokens`: the model's own. The unknown token is never drawn. */
export type WriteOptions = GenerateOptions &
  Pick<BeamOptions, "lengthPenalty"> & {
    /** Number of beams: beam search of an encoder-decoder instead of drawing tokens. Default: no beam search. */
    readonly beams?: number;
  };

/** Makes of a decoder, which tells what goes into the last feed-forward network, one that knows more, such as what a datastore holds. */
export type Mixing = (decoder: Decoder) => Decoder;

/**
 * Opens the directory of a run or of a Hugging Face checkpoint for generation.
 *
 * @throws Error when it is neither, or its model cannot generate
 */
export async function openGenerator(directory: string, device: Device): Promise<Generator> {
  return generatorOf(await openModel(directory), device);
}

/**
 * Makes a generator from a model that is in memory.
 *
 * @param mixing for a decoder only
 */
export function generatorOf(opened: OpenedModel, device: Device, mixing?: Mixing): Generator {
  const { run, model, tokenizer, promptTokens, endTokens, startToken, notes, params } = opened;
  if (run?.task.classes !== undefined) throw new ConfigError("generate: this run tells classes; it writes nothing");
  if (run?.config.objective?.kind === "spans")
    throw new ConfigError("generate: this run tells where answers stand; it writes nothing");
  if (run?.config.objective?.kind === "reconstruct")
    throw new ConfigError("generate: this run gives rows back that it has read; it writes nothing");
  if (run?.config.objective?.kind === "cluster")
    throw new ConfigError("generate: this run tells mixtures of points; it writes nothing");
  if (run?.config.objective?.kind === "regress")
    throw new ConfigError("generate: this run tells numbers of sets; it writes nothing");
  if (run?.config.objective?.kind === "act")
    throw new ConfigError("generate: this run acts in an environment; it writes nothing");
  if (model.category === "picture")
    throw new ConfigError(
      "generate: this model draws pictures; writePictures of tsformers/pictures lets it, or the command",
    );
  if (model.category === "encoder")
    throw new ConfigError("generate: this model fills in hidden tokens; it does not write from left to right");
  const { category, vocabularySize } = model;
  const translator =
    model.category === "decoder" ? undefined : openSequenceDecoder(model, params as Concrete<unknown>, { device });
  const write =
    model.category === "decoder" ? goingOn(model, params, device, mixing) : answering(model, translator!, startToken);
  const unknown = tokenizer?.unknownToken;
  const withOwn = <Options extends GenerateOptions>(options: Options): Options => ({
    endTokens,
    ...options,
    forbiddenTokens: [...(options.forbiddenTokens ?? []), ...(unknown === undefined ? [] : [unknown])],
  });
  const encoded = (coder: Tokenizer, prompt: string): number[] =>
    encodePrompt({ ...coder, encode: promptTokens ?? coder.encode }, prompt);
  async function* tokens(prompt: readonly number[], options: WriteOptions): AsyncGenerator<number, Written> {
    try {
      return yield* write(prompt, withOwn(options));
    } catch (error) {
      throw explained(error, params);
    }
  }
  async function* text(
    prompt: string,
    options: WriteOptions & { readonly stop?: readonly string[] },
  ): AsyncGenerator<string, Written> {
    if (tokenizer === undefined)
      throw new PromptError("this model's tokens stand for no text; give the prompt as numbers, with --prompt-tokens");
    const before = encoded(tokenizer, prompt);
    const continued = category === "decoder" ? { before } : {};
    return yield* textOf(tokens(before, options), tokenizer, { ...options, ...continued });
  }
  const texts = async (prompts: readonly string[], options: TextsOptions): Promise<WrittenText[]> => {
    if (tokenizer === undefined) throw new PromptError("this model's tokens stand for no text");
    const before = prompts.map((prompt, i) => ofPrompt(i, () => encoded(tokenizer, prompt)));
    const made: number[][] = prompts.map(() => []);
    const written = sideBySide(model as LanguageModel, params, device, before, withOwn(options));
    const ended = await drained(written, ({ row, token }) => made[row]!.push(token)).catch((error: unknown) => {
      throw explained(error, params);
    });
    return Promise.all(
      made.map(async (own, row) => {
        const pieces: string[] = [];
        const source = textOf(stored(own, ended[row]!), tokenizer, { ...options, before: before[row]! });
        const end = await drained(source, (piece) => pieces.push(piece));
        return { ...end, text: pieces.join("") };
      }),
    );
  };
  return {
    category,
    vocabularySize,
    endTokens,
    notes,
    tokens,
    text,
    ...(category === "decoder" && mixing === undefined && { texts }),
    release: async () => translator?.release(),
    ...present({ tokenizer, maxLength: model.maxLength }),
  };
}

/** What was given, and tokens as they come. */
type Write = Generator["tokens"];

function goingOn(model: LanguageModel, params: unknown, device: Device, mixing?: Mixing): Write {
  return async function* (prompt, options) {
    if (options.beams !== undefined)
      throw new RangeError("generate: beam search is for a model that reads one sequence and writes another");
    requirePrompt(prompt, model.vocabularySize, model.maxLength);
    const maxLength = prompt.length + options.count;
    const tellsFfnInput = mixing !== undefined;
    const own = openDecoder(model, params as Concrete<unknown>, { device, maxLength, tellsFfnInput });
    const decoder = mixing?.(own) ?? own;
    try {
      return yield* generate(decoder, prompt, options);
    } finally {
      await decoder.release();
    }
  };
}

/** Continues prompts side by side. */
async function* sideBySide(
  model: LanguageModel,
  params: unknown,
  device: Device,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): AsyncGenerator<RowToken, Written[]> {
  prompts.forEach((prompt, i) => {
    ofPrompt(i, () => requirePrompt(prompt, model.vocabularySize, model.maxLength));
  });
  const maxLength = Math.max(...prompts.map(({ length }) => length)) + options.count;
  const decoder = openDecoder(model, params as Concrete<unknown>, { device, maxLength, rows: prompts.length });
  try {
    return yield* generateRows(decoder, prompts, options);
  } finally {
    await decoder.release();
  }
}

/** What `make` makes of a prompt; its errors name the prompt. */
function ofPrompt<T>(index: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof PromptError ? new PromptError(`prompt ${index + 1}: ${error.message}`) : error;
  }
}

async function* stored(tokens: readonly number[], end: Written): AsyncGenerator<number, Written> {
  yield* tokens;
  return end;
}

function answering(model: SequenceToSequence, decoder: SequenceDecoder, start: number): Write {
  return async function* (prompt, options) {
    const { count, beams } = options;
    requirePrompt(prompt, model.vocabularySize, model.maxSourceLength);
    if (beams === undefined) {
      return yield* generate(await decoder.begin(prompt, { maxLength: count }), [start], options);
    }
    const [best] = await decoder.decode(prompt, { ...options, start, beams });
    yield* best!.tokens;
    return { ended: best!.ended, tokens: best!.tokens.length };
  };
}

function requirePrompt(prompt: readonly number[], vocabularySize: number, maxLength = Number.POSITIVE_INFINITY): void {
  if (prompt.length === 0) throw new PromptError("the prompt is empty; give at least one token");
  const wrong = prompt.find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabularySize));
  if (wrong !== undefined)
    throw new PromptError(`the prompt: expected tokens of 0 … ${vocabularySize - 1}, got ${wrong}`);
  if (prompt.length > maxLength)
    throw new PromptError(
      `the prompt has ${counted(prompt.length)}, more than the ${maxLength} positions that this model has learned`,
    );
}

/** An error; of logits, with the name of the first parameter that is not finite if that is the cause. */
function explained(error: unknown, params: unknown): unknown {
  if (!(error instanceof LogitsError)) return error;
  const { message } = error;
  const { leaves, paths } = flatten(params, isNdArray);
  const damaged = leaves.findIndex(
    (array) => array.dtype === "float32" && !(array.data as Float32Array).every(Number.isFinite),
  );
  return new LogitsError(damaged < 0 ? message : `${message}; parameter ${paths[damaged]} holds such values`);
}
