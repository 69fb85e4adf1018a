import {
  compile,
  convert,
  type Device,
  mul,
  type NDArray,
  readTree,
  shapesEqual,
  shapeText,
  sum,
  type Tensor,
  valueAndGradWithExtra,
} from "@tsformers/engine";
import * as z from "zod";
import type { MixerEntry } from "../attention/index.ts";
import { mixers } from "../catalogue/mixers.ts";
import type { Mechanism } from "../kinds/mechanism.ts";
import { suggestion } from "../schema/nearest.ts";
import { mechanisms } from "./mechanisms/index.ts";
import {
  checkListed,
  compareArrays,
  pick,
  readCases,
  readTolerances,
  type StoredTensors,
  type Tolerances,
  type VerifyRow,
} from "./stored-cases.ts";
import { exact } from "./tolerance.ts";

/** `inputs` with their shapes; everything else that a case stores is compared. */
const caseShape = z.object({
  options: z.record(z.string(), z.unknown()).default({}),
  inputs: z.record(z.string(), z.array(z.int().nonnegative())),
  outputs: z.array(z.string()).default([]),
});

const metaShape = z.object({ fixture: z.string(), cases: z.record(z.string(), caseShape) });

type Case = z.output<typeof caseShape>;

/**
 * Runs every stored case of one mechanism with the options in meta.json: compares its results and, where `grad.<input>`
 * is stored, the gradient of `sum(out · R)` with respect to that input. Stored integers must match exactly.
 *
 * @throws Error when the mechanism or an option is unknown, something listed is missing, or a case stores a result that is not computed
 */
export async function verifyMechanism(
  directory: string,
  meta: Readonly<Record<string, unknown>>,
  { device }: { readonly device: Device },
): Promise<VerifyRow[]> {
  const { fixture, cases } = parse(metaShape, meta, "meta.json");
  const mechanism = await mechanismOf(fixture);
  if (mechanism === undefined) {
    const near = suggestion(fixture, mechanismFixtures) || `; known are ${mechanismFixtures.join(", ")}`;
    throw new Error(`meta.json: unknown mechanism ${JSON.stringify(fixture)}${near}`);
  }
  const tolerances = readTolerances(meta);
  const stored = await readCases(directory);
  checkCases(stored, cases);
  const rows: VerifyRow[] = [];
  for (const [name, tensors] of stored) {
    try {
      rows.push(...(await verifyCase(name, tensors, mechanism, { ...cases[name]!, tolerances, device })));
    } catch (error) {
      throw new Error(`${name}: ${messageOf(error)}`, { cause: error });
    }
  }
  return rows;
}

/** What members of the catalogue bring along. */
const proofs = Object.values<MixerEntry>(mixers).flatMap(({ proof }) => proof ?? []);

/** The fixtures that can be verified, by name. */
export const mechanismFixtures: readonly string[] = [
  ...Object.keys(mechanisms),
  ...proofs.map(({ fixture }) => fixture),
];

async function mechanismOf(fixture: string): Promise<Mechanism | undefined> {
  if (Object.hasOwn(mechanisms, fixture)) return mechanisms[fixture]!();
  return proofs.find((proof) => proof.fixture === fixture);
}

type Floats = Readonly<Record<string, Tensor>>;

async function verifyCase(
  name: string,
  tensors: StoredTensors,
  mechanism: Mechanism,
  { options, inputs, tolerances, device }: Case & { readonly tolerances: Tolerances; readonly device: Device },
): Promise<VerifyRow[]> {
  const arrays = Object.fromEntries(
    Object.entries(inputs).map(([input, shape]) => [input, shaped(tensors, input, shape)]),
  );
  const expected = [...tensors].filter(([tensor]) => !Object.hasOwn(inputs, tensor) && tensor !== "R");
  const gradients = expected.flatMap(([tensor]) => (tensor.startsWith("grad.") ? [tensor.slice("grad.".length)] : []));
  const results = expected.flatMap(([tensor]) => (tensor.startsWith("grad.") ? [] : [tensor]));
  const unknown = gradients.filter((of) => arrays[of] === undefined || !isFloat(arrays[of]));
  if (unknown.length > 0)
    throw new Error(`gradients are stored for ${unknown.join(", ")}, but only float inputs have any`);
  if (gradients.length > 0) checkListed(name, tensors, ["out", "R"]);
  const fed = Object.fromEntries(Object.entries(arrays).map(([input, array]) => [input, tensorOf(array)]));
  const weights = tensors.get("R");
  const shapes = Object.fromEntries(expected.map(([tensor, { shape }]) => [tensor, shape]));

  const pass = (given: Floats, weights: Tensor | undefined) => {
    if (weights === undefined)
      return { results: pick(mechanism.run(given, options, arrays, shapes), results), gradient: {} };
    const { gradient, extra } = valueAndGradWithExtra((of: Floats) => {
      const found = mechanism.run({ ...given, ...of }, options, arrays, shapes);
      return [sum(mul(pick(found, ["out"]).out!, weights)), pick(found, results)];
    })(pick(given, gradients));
    return { results: extra, gradient };
  };
  const compiled = compile(pass as (given: never, weights: never) => ReturnType<typeof pass>, { device });
  try {
    const R = gradients.length === 0 ? undefined : tensorOf(weights!);
    const found = (await readTree(await compiled(fed as never, R as never))) as unknown as Record<
      "results" | "gradient",
      Record<string, NDArray>
    >;
    return expected.map(([tensor, array]) => {
      const gradient = tensor.startsWith("grad.");
      const ours = gradient ? found.gradient[tensor.slice("grad.".length)]! : found.results[tensor]!;
      const tolerance = isFloat(array) ? tolerances[gradient ? "grads" : "outputs"] : exact;
      return { case: name, tensor, ...compareArrays(tensor, ours, array, tolerance) };
    });
  } finally {
    await compiled.release();
  }
}

function checkCases(stored: ReadonlyMap<string, StoredTensors>, cases: Readonly<Record<string, Case>>): void {
  const missing = Object.keys(cases).filter((name) => !stored.has(name));
  if (missing.length > 0)
    throw new Error(`meta.json lists ${missing.join(", ")}, which cases.safetensors does not hold`);
  for (const [name, tensors] of stored) {
    const entry = cases[name];
    if (entry === undefined)
      throw new Error(`cases.safetensors holds ${name}, whose options and inputs meta.json does not list`);
    checkListed(name, tensors, [...Object.keys(entry.inputs), ...entry.outputs]);
  }
}

function shaped(tensors: StoredTensors, input: string, shape: readonly number[]): NDArray {
  const array = tensors.get(input)!;
  if (shapesEqual(array.shape, shape)) return array;
  throw new Error(
    `${input}: expected shape ${shapeText(shape)} as meta.json lists it, found ${shapeText(array.shape)}`,
  );
}

function isFloat({ dtype }: NDArray): boolean {
  return dtype.startsWith("float");
}

function tensorOf(array: NDArray): NDArray {
  return convert(array, isFloat(array) ? "float32" : "int32");
}

function parse<T extends z.ZodType>(shape: T, given: unknown, name: string): z.output<T> {
  const { data, error } = shape.safeParse(given);
  if (error !== undefined) throw new Error(`${name}: ${messageOf(error)}`, { cause: error });
  return data as z.output<T>;
}

function messageOf(error: unknown): string {
  if (error instanceof z.ZodError) {
    return error.issues.map(({ path, message }) => [path.join("."), message].filter(Boolean).join(": ")).join("; ");
  }
  return error instanceof Error ? error.message : String(error);
}
