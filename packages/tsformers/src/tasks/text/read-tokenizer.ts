import { statSync } from "node:fs";
import { join } from "node:path";
import { FileError } from "../../io/file-error.ts";
import { readTokenizerFile, tokenizerFiles } from "../../io/hugging-face/companions.ts";
import type { Tokenizer } from "../../tokenizers/index.ts";

/**
 * The tokenizer of a `tokenizer.json`, or of a folder with one; a `tokenizer_config.json` beside it counts, too.
 *
 * @throws FileError when there is none, or it is damaged or has an unsupported part
 */
export async function readTokenizerAt(path: string): Promise<Tokenizer> {
  const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, tokenizerFiles.tokenizer) : path;
  if (statSync(file, { throwIfNoEntry: false }) === undefined) throw new FileError(file, "no such file");
  return readTokenizerFile(file);
}
