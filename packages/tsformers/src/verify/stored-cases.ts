import { join } from "node:path";
import { convert, type NDArray, shapesEqual, shapeText } from "@tsformers/engine";
import { readSafetensorsFile } from "../io/safetensors-file.ts";
import { largestError, parseTolerance, type Tolerance, toleranceText } from "./tolerance.ts";

/** One compared tensor of a case: how far our result is from the stored one. */
export type VerifyRow = {
  readonly case: string;
  readonly tensor: string;
  readonly largestError: number;
  /** The tolerance as stated in meta.json. */
  readonly tolerance: string;
  readonly ok: boolean;
};

export type StoredTensors = ReadonlyMap<string, NDArray>;

export type Tolerances = Readonly<Record<"outputs" | "loss" | "grads", Tolerance>>;

/** The tolerances of a meta.json. Default for loss and gradients: the tolerance of outputs. */
export function readTolerances(meta: Readonly<Record<string, unknown>>): Tolerances {
  const { tolerance } = meta;
  if (typeof tolerance !== "object" || tolerance === null) throw new Error('meta.json: expected an object "tolerance"');
  const texts = tolerance as Record<string, unknown>;
  const outputs = parseTolerance(texts.outputs, "outputs");
  const given = (name: string) => (texts[name] === undefined ? outputs : parseTolerance(texts[name], name));
  return { outputs, loss: given("loss"), grads: given("grads") };
}

/** Reads the arrays of `cases.safetensors` by case and name, in the order of case numbers. @throws Error when missing or damaged */
export async function readCases(directory: string): Promise<Map<string, StoredTensors>> {
  const arrays = await readSafetensorsFile(join(directory, "cases.safetensors"));
  const cases = new Map<string, Map<string, NDArray>>();
  for (const [name, array] of [...arrays].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))) {
    const dot = name.indexOf(".");
    if (dot <= 0)
      throw new Error(
        `cases.safetensors: expected names such as case0.logits, found ${JSON.stringify(name.slice(0, 100))}`,
      );
    const group = cases.get(name.slice(0, dot)) ?? new Map<string, NDArray>();
    cases.set(name.slice(0, dot), group.set(name.slice(dot + 1), array));
  }
  if (cases.size === 0) throw new Error("cases.safetensors: expected arrays of at least one case, found none");
  return cases;
}

/** Makes sure that everything listed in meta.json exists, since otherwise a check would be skipped silently. */
export function checkListed(name: string, tensors: StoredTensors, listed: readonly string[]): void {
  const missing = listed.filter((tensor) => !tensors.has(tensor));
  if (missing.length > 0)
    throw new Error(`${name}: meta.json lists ${missing.join(", ")}, which cases.safetensors does not hold`);
}

/** Picks named results. @throws Error listing those that are not computed, and those that are */
export function pick<T>(record: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  const absent = names.filter((name) => !Object.hasOwn(record, name));
  if (absent.length > 0) {
    throw new Error(
      `${absent.join(", ")}: neither an input nor a result; results are ${Object.keys(record).join(", ")}`,
    );
  }
  return Object.fromEntries(names.map((name) => [name, record[name]!]));
}

/**
 * Compares a result with what is stored; a scalar may be stored as the one element of a vector.
 *
 * @throws Error when the shapes differ
 */
export function compareArrays(
  tensor: string,
  found: NDArray,
  expected: NDArray,
  tolerance: Tolerance,
  counts: (flat: number) => boolean = all,
): Pick<VerifyRow, "largestError" | "tolerance" | "ok"> {
  const text = toleranceText(tolerance);
  const isScalar = found.shape.length === 0 && shapesEqual(expected.shape, [1]);
  if (!isScalar && !shapesEqual(found.shape, expected.shape)) {
    throw new Error(`${tensor}: expected shape ${shapeText(expected.shape)} as stored, got ${shapeText(found.shape)}`);
  }
  const result = largestError(convert(found, "float32"), convert(expected, "float32"), tolerance, counts);
  return { ...result, tolerance: text };
}

export const all = (): boolean => true;
