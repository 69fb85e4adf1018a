import { readFileSync } from "node:fs";
import * as z from "zod";
import { FileError, fileError } from "./file-error.ts";

/** The largest JSON file that is read; tokenizers have a few megabytes. */
const largestBytes = 2 ** 28;

/**
 * Reads a JSON file and checks it against a schema.
 *
 * @throws FileError saying what is wrong with it, and where
 */
export function readJsonFile<T>(path: string, schema: z.ZodType<T>): T {
  const result = schema.safeParse(parse(path, readBytes(path)));
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 5).map((issue) => {
    const place = issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
    return `${place}${issue.message.replace(/^Invalid input: /, "")}`;
  });
  throw new FileError(path, issues.join("; "));
}

/** Any JSON object. */
export const jsonObject: z.ZodType<Readonly<Record<string, unknown>>> = z.record(z.string(), z.unknown(), {
  error: "expected a JSON object",
});

/** A list of JSON objects, at least one. */
export const jsonObjects: z.ZodType<readonly Readonly<Record<string, unknown>>[]> = z
  .array(jsonObject, { error: "expected a JSON list of objects" })
  .min(1, { error: "expected at least one object" });

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

function parse(path: string, bytes: Uint8Array): unknown {
  if (bytes.length > largestBytes)
    throw new FileError(path, `has ${bytes.length} bytes, too many for a JSON file of this library`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FileError(path, "expected JSON, found bytes that are not UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FileError(path, `expected JSON; ${(error as Error).message}`);
  }
}
