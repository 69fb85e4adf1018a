import type { Concrete, Device } from "@tsformers/engine";
import { openDecoder } from "../generate/decoder.ts";
import { type GenerateOptions, generate, generateText } from "../generate/generate.ts";
import { openSequenceDecoder } from "../generate/sequence-decoder.ts";
import type { Tokenizer } from "../tasks/tokenizer.ts";
import type { AnyModel } from "./model.ts";
import { openModel } from "./open-model.ts";

/** A model ready to write. */
export type Generator = {
  /** Absent where tokens do not stand for text. */
  readonly tokenizer?: Tokenizer;
  /** Tokens behind a prompt, as they come. */
  tokens(prompt: readonly number[], options: WriteOptions): AsyncIterable<number>;
  /** Text behind a prompt, as it comes. Needs a tokenizer. */
  text(prompt: string, options: WriteOptions & { readonly stop?: readonly string[] }): AsyncIterable<string>;
  release(): Promise<void>;
};

export type WriteOptions = Omit<GenerateOptions, "maxLength">;

/**
 * Opens a run's directory, or one of a Hugging Face checkpoint, for generation.
 *
 * @throws Error when it is neither, or its model does not write
 */
export async function openGenerator(directory: string, device: Device): Promise<Generator> {
  const { model, params, tokenizer, startToken: start } = await openModel(directory);
  return generatorOf(model, params, device, { tokenizer, start });
}

function generatorOf(
  model: AnyModel,
  params: unknown,
  device: Device,
  { tokenizer, start }: { readonly tokenizer: Tokenizer | undefined; readonly start: number },
): Generator {
  if (model.category === "encoder")
    throw new Error("generate: an encoder fills in hidden tokens; it does not write from left to right");
  if (model.category === "encoder-decoder") {
    const decoder = openSequenceDecoder(model, params as Concrete<unknown>, { device });
    async function* answer(prompt: readonly number[], { count }: WriteOptions): AsyncIterable<number> {
      const [best] = await decoder.decode(prompt, { count, start });
      yield* best?.tokens ?? [];
    }
    return { tokens: answer, text: noText, release: () => decoder.release() };
  }
  const open = (prompt: number, count: number) => {
    const maxLength = Math.max(prompt + count, 1);
    return { maxLength, decoder: openDecoder(model, params as Concrete<unknown>, { device, maxLength }) };
  };
  async function* tokens(prompt: readonly number[], options: WriteOptions): AsyncIterable<number> {
    const { decoder, maxLength } = open(prompt.length, options.count);
    try {
      yield* generate(decoder, prompt, { ...options, maxLength });
    } finally {
      await decoder.release();
    }
  }
  if (tokenizer === undefined) return { tokens, text: noText, release: async () => {} };
  async function* text(
    prompt: string,
    options: WriteOptions & { readonly stop?: readonly string[] },
  ): AsyncIterable<string> {
    const { decoder, maxLength } = open(tokenizer!.encode(prompt).length, options.count);
    try {
      yield* generateText(decoder, tokenizer!, prompt, { ...options, maxLength });
    } finally {
      await decoder.release();
    }
  }
  return { tokenizer, tokens, text, release: async () => {} };
}

function noText(): never {
  throw new Error("generate: this model has no tokenizer; give the prompt as numbers, with --prompt-tokens");
}
