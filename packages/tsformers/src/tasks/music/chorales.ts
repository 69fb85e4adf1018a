import * as z from "zod";
import { FileError } from "../../io/file-error.ts";
import { explain, quotedPath } from "../../schema/explain.ts";
import type { Splits } from "../splits.ts";

/** What sounds in each sixteenth: a pitch of MIDI for each of the four voices, soprano first, −1 for silence. */
export type Piece = readonly (readonly number[])[];

const piece = z.array(z.array(z.int().min(-1).max(127)).length(4)).min(1);
const split = z.array(piece).min(1);
const schema = z.object({ train: split, valid: split, test: split });

/**
 * The pieces of a JSON file `{ "train": [piece, …], "valid": …, "test": … }`, as the JSB chorales are often handed on.
 *
 * @throws FileError saying what is wrong with it, and where
 */
export function readChorales(text: string, path: string): Splits<readonly Piece[]> {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new FileError(path, `expected JSON; ${(error as Error).message}`);
  }
  const result = schema.safeParse(data, { reportInput: true });
  if (result.success) return result.data;
  throw new FileError(path, explain(result.error, schema, nameOf).slice(0, 5).join("; "));
}

function nameOf(path: readonly string[]): string {
  return path.length === 0 ? "the splits" : quotedPath(path);
}
