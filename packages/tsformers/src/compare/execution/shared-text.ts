import { join } from "node:path";
import * as z from "zod";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { FileError } from "../../io/file-error.ts";
import { readJsonFile } from "../../io/read-json.ts";
import { present } from "../../schema/present.ts";
import type { EvalSplit } from "../../tasks/task.ts";
import { noSize } from "../../tasks/text/text-size.ts";
import { openTokenFile, type TokenPiece, tokenFilePath, writeTokenFile } from "../../tasks/text/token-file.ts";
import type { ReadText, Tokens } from "../../tasks/text/tokenized-text.ts";
import { readTokenizerConfig, tokenizerFromConfig } from "../../tokenizers/index.ts";

const splits: readonly ("train" | EvalSplit)[] = ["train", "valid", "test"];
const pieceTokens = 2 ** 20;

const schema = z.strictObject({
  tokenizer: z.unknown(),
  sizeBytes: z.number(),
  sum: z.number(),
  ends: z.tuple([z.number(), z.number()]).optional(),
});

/** Writes a text that was read, for other processes that need the same: {@link openSharedText}. */
export async function shareText(folder: string, key: string, { tokenizer, tokenized }: ReadText): Promise<void> {
  const { splits: tokens, documents, evaluationSize, sizeBytes, sum, ends } = tokenized;
  async function* pieces(): AsyncGenerator<TokenPiece> {
    for (const split of splits) {
      // All are counted with the first piece of a split for evaluation.
      let size = split === "valid" ? evaluationSize : noSize;
      for (const [start, piece] of piecesOf(tokens[split])) {
        const isWithin = (place: number) => place >= start && place < start + piece.length;
        const places = (documents?.[split] ?? []).filter(isWithin).map((place) => place - start);
        yield { split, tokens: piece, documents: places, size };
        size = noSize;
      }
    }
  }
  await writeTokenFile(tokenFilePath(folder, key), tokenizer.vocabularySize, pieces());
  await writeFileAtomic(aboutPath(folder, key), JSON.stringify({ tokenizer: tokenizer.config, sizeBytes, sum, ends }));
}

function* piecesOf(tokens: Tokens): Generator<[start: number, piece: Int32Array]> {
  for (let start = 0; start < tokens.length; start += pieceTokens) {
    yield [start, Int32Array.from(tokens.read(start, Math.min(start + pieceTokens, tokens.length)))];
  }
}

/**
 * Opens a text that another process has read.
 *
 * @throws FileError when it is not there, or damaged
 */
export async function openSharedText(folder: string, key: string): Promise<ReadText> {
  const about = aboutPath(folder, key);
  const { tokenizer: config, ends, ...rest } = readJsonFile(about, schema);
  const tokenizer = await tokenizerFromConfig(readTokenizerConfig(config, about));
  const path = tokenFilePath(folder, key);
  const found = await openTokenFile(path, tokenizer.vocabularySize);
  if (found === undefined || found === "damaged") throw new FileError(path, "is missing or damaged");
  return { tokenizer, tokenized: { ...found, ...rest, ...present({ ends }) } };
}

function aboutPath(folder: string, key: string): string {
  return join(folder, `${key}.json`);
}
