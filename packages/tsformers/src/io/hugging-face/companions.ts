import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { present } from "../../schema/present.ts";
import { type Tokenizer, tokenizerFromConfig } from "../../tokenizers/index.ts";
import { FileError } from "../file-error.ts";
import { jsonObject, readJsonFile } from "../read-json.ts";

/** The files of a checkpoint's tokenizer. */
export const tokenizerFiles = { tokenizer: "tokenizer.json", config: "tokenizer_config.json" } as const;

/** The file of a checkpoint's generation settings. */
export const generationFile = "generation_config.json";

const tokenizerSchema = z.looseObject(
  { model: z.looseObject({}, { error: "expected the object of its model" }) },
  { error: "expected a JSON object" },
);

/**
 * The tokenizer of a checkpoint's `tokenizer.json`; undefined if it has none.
 *
 * @throws FileError when a file is damaged or has an unsupported part
 */
export async function readTokenizer(directory: string): Promise<Tokenizer | undefined> {
  const path = join(directory, tokenizerFiles.tokenizer);
  return existsSync(path) ? readTokenizerFile(path) : undefined;
}

/** The tokenizer of a file like `tokenizer.json`, with the `tokenizer_config.json` beside it, if there is one. */
export async function readTokenizerFile(path: string): Promise<Tokenizer> {
  const settings = join(dirname(path), tokenizerFiles.config);
  const tokenizer = readJsonFile(path, tokenizerSchema);
  const config = existsSync(settings) ? readJsonFile(settings, jsonObject) : {};
  try {
    return await tokenizerFromConfig({ kind: "hugging-face", tokenizer, config });
  } catch (error) {
    throw new FileError(path, `cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Tokenizer files that only their own libraries read. */
const otherTokenizers = ["vocab.json", "vocab.txt", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model"];

/** A note about a checkpoint whose tokenizer cannot be read; empty if it has none. */
export function otherTokenizer(directory: string): string[] {
  const found = otherTokenizers.find((name) => existsSync(join(directory, name)));
  if (found === undefined) return [];
  return [
    `${directory}: has ${found} but no ${tokenizerFiles.tokenizer}, so that its tokens stand for no text here; in Python, AutoTokenizer.from_pretrained(folder).save_pretrained(folder) makes one`,
  ];
}

const token = z.int().nonnegative();
const generationSchema = z.looseObject({
  eos_token_id: z.union([token, z.array(token)], { error: "expected a token or a list of tokens" }).nullish(),
  bos_token_id: token.nullish(),
  decoder_start_token_id: z.union([token, z.array(token)]).nullish(),
});

/** The contents of a checkpoint's `generation_config.json`; empty if there is none. */
export type GenerationSettings = { readonly endTokens?: readonly number[]; readonly startToken?: number };

/** @throws FileError when it is damaged */
export function readGenerationSettings(directory: string): GenerationSettings {
  const path = join(directory, generationFile);
  if (!existsSync(path)) return {};
  const { eos_token_id: end, bos_token_id, decoder_start_token_id } = readJsonFile(path, generationSchema);
  const start = [decoder_start_token_id ?? bos_token_id ?? []].flat()[0];
  return {
    ...(end !== undefined && end !== null && { endTokens: [end].flat() }),
    ...present({ startToken: start }),
  };
}
