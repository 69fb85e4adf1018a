import { join } from "node:path";
import {
  compile,
  convert,
  type Device,
  decodeSafetensors,
  flatten,
  fromNumbers,
  type NDArray,
  readTree,
  shapesEqual,
  shapeText,
  Tensor,
  valueAndGradWithExtra,
} from "@tsformers/engine";
import { lookEvenly } from "../attention/view.ts";
import { bytesOf, readJson } from "../io/hugging-face/checkpoint-files.ts";
import type { InputRule, NamedTensors } from "../io/hugging-face/format.ts";
import { type Checkpoint, loadHuggingFace } from "../io/hugging-face/load.ts";
import { writeNames } from "../io/hugging-face/names.ts";
import { evaluation } from "../nn/layer.ts";
import { largestError, parseTolerance, type Tolerance, toleranceText } from "./tolerance.ts";

/** One tensor of one case: how far ours is from the stored one. */
export type VerifyRow = {
  readonly case: string;
  readonly tensor: string;
  readonly largestError: number;
  /** As meta.json states it. */
  readonly tolerance: string;
  readonly ok: boolean;
};

/**
 * Loads a model and runs every stored case of it: outputs, hidden states, attention maps, loss and gradients.
 *
 * The directory holds `config.json`, `model.safetensors`, `cases.safetensors` (arrays `caseK.<tensor>`: inputs and expected
 * results under the reference's names) and `meta.json` (`tolerance`: outputs, loss, grads).
 *
 * @throws Error when a file is missing or damaged, the model is not supported, or a case holds what the model does not compute
 */
export async function verifyDirectory(directory: string, options: { readonly device: Device }): Promise<VerifyRow[]> {
  const meta = await readMeta(directory);
  const checkpoint = await loadHuggingFace(directory, { look: lookEvenly });
  const bytes = await bytesOf(join(directory, "cases.safetensors"));
  if (bytes === undefined) throw new Error(`${directory}: expected a file cases.safetensors, found none`);
  const cases = groupCases(decodeSafetensors(bytes, "cases.safetensors").tensors);
  const rows: VerifyRow[] = [];
  for (const [name, tensors] of cases) {
    checkListed(name, tensors, meta);
    try {
      rows.push(...(await verifyCase(name, tensors, checkpoint, meta, options.device)));
    } catch (error) {
      throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  return rows;
}

type Meta = {
  readonly tolerances: Readonly<Record<"outputs" | "loss" | "grads", Tolerance>>;
  readonly cases: Readonly<Record<string, unknown>>;
};

async function readMeta(directory: string): Promise<Meta> {
  const meta = await readJson(directory, "meta.json");
  const { tolerance, cases } = (typeof meta === "object" && meta !== null ? meta : {}) as Record<string, unknown>;
  if (typeof tolerance !== "object" || tolerance === null) throw new Error('meta.json: expected an object "tolerance"');
  const texts = tolerance as Record<string, unknown>;
  const outputs = parseTolerance(texts.outputs, "outputs");
  const given = (name: string) => (texts[name] === undefined ? outputs : parseTolerance(texts[name], name));
  const listed = typeof cases === "object" && cases !== null ? (cases as Record<string, unknown>) : {};
  return { tolerances: { outputs, loss: given("loss"), grads: given("grads") }, cases: listed };
}

function groupCases(arrays: ReadonlyMap<string, NDArray>): Map<string, Map<string, NDArray>> {
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

/** What meta.json lists must be there, or a check would be skipped without a word. */
function checkListed(name: string, tensors: ReadonlyMap<string, NDArray>, { cases }: Meta): void {
  const entry = cases[name] as { tensors?: unknown } | undefined;
  const listed = Array.isArray(entry?.tensors) ? entry.tensors : [];
  const missing = listed.filter((tensor) => !tensors.has(tensor as string));
  if (missing.length > 0)
    throw new Error(`${name}: meta.json lists ${missing.join(", ")}, which cases.safetensors does not hold`);
}

async function verifyCase(
  name: string,
  tensors: ReadonlyMap<string, NDArray>,
  { architecture, params }: Checkpoint,
  meta: Meta,
  device: Device,
): Promise<VerifyRow[]> {
  const { probe, names } = architecture;
  const what = describe(meta.cases[name]);
  const inputs = Object.fromEntries(
    Object.entries(probe.inputs).flatMap(([input, rule]) => {
      const array = tensors.get(input);
      return array === undefined ? [] : [[input, readInput(input, array, rule)] as const];
    }),
  );
  const mask = tensors.get("compare_mask");
  const expected = [...tensors].filter(([tensor]) => !Object.hasOwn(probe.inputs, tensor) && tensor !== "compare_mask");
  const outputs = expected.map(([tensor]) => tensor).filter((tensor) => !tensor.startsWith("grad."));
  const gradients = expected.flatMap(([tensor]) => (tensor.startsWith("grad.") ? [tensor.slice("grad.".length)] : []));
  const ruleOf = new Map(names.map((rule) => [rule.theirs, rule]));
  const unknown = gradients.filter((of) => !ruleOf.has(of) && inputs[of]?.dtype !== "float32");
  if (unknown.length > 0)
    throw new Error(`gradients are stored of ${unknown.join(", ")}, which the model does not have`);
  const paths = gradients.flatMap((of) => ruleOf.get(of)?.ours ?? []);

  const pass = (params: unknown, inputs: NamedTensors) => {
    const run = (params: unknown, inputs: NamedTensors) => pick(probe.run(params, inputs, evaluation, what), outputs);
    if (gradients.length === 0) return { outputs: run(params, inputs), parameters: {}, inputs: {} };
    const { gradient, extra } = valueAndGradWithExtra((given: { params: unknown; floats: NamedTensors }) => {
      const all = probe.run(given.params, { ...inputs, ...given.floats }, evaluation, what);
      if (all.loss === undefined) throw new Error("gradients are stored, but the inputs give no loss");
      return [all.loss, pick(all, outputs)];
    })({
      params,
      floats: pick(
        inputs,
        gradients.filter((of) => Object.hasOwn(inputs, of)),
      ),
    });
    const leaves = flatten(gradient.params, (leaf): leaf is Tensor => leaf instanceof Tensor);
    const byPath = Object.fromEntries(leaves.paths.map((path, i) => [path, leaves.leaves[i]!]));
    return { outputs: extra, parameters: pick(byPath, paths), inputs: gradient.floats };
  };
  const compiled = compile(pass as (params: unknown, inputs: never) => ReturnType<typeof pass>, { device });
  try {
    const found = (await readTree(await compiled(params, inputs as never))) as unknown as Record<
      "outputs" | "parameters" | "inputs",
      Record<string, NDArray>
    >;
    const leaves = new Map(Object.entries(found.parameters));
    const written = writeNames(
      gradients.flatMap((of) => ruleOf.get(of) ?? []),
      leaves,
    );
    return expected.map(([tensor, array]) => {
      const of = tensor.startsWith("grad.") ? tensor.slice("grad.".length) : undefined;
      const ours = of === undefined ? found.outputs[tensor]! : (written.get(of) ?? found.inputs[of]!);
      const tolerance = meta.tolerances[of !== undefined ? "grads" : tensor === "loss" ? "loss" : "outputs"];
      const counts =
        of === undefined ? countsOf(tensor, array, mask ?? unpadded(inputs[probe.padded?.[tensor] ?? ""])) : all;
      return { case: name, tensor, ...compareArrays(tensor, ours, array, tolerance, counts) };
    });
  } finally {
    await compiled.release();
  }
}

function pick<T>(record: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  const absent = names.filter((name) => !Object.hasOwn(record, name));
  if (absent.length > 0) {
    throw new Error(
      `${absent.join(", ")}: neither an input nor a result of this model; results are ${Object.keys(record).join(", ")}`,
    );
  }
  return Object.fromEntries(names.map((name) => [name, record[name]!]));
}

function readInput(name: string, array: NDArray, { dtype, below, orIgnored }: InputRule): NDArray {
  const converted = convert(array, dtype);
  if (below === undefined) return converted;
  const wrong = array
    .toNumbers()
    .find((value) => !(Number.isInteger(value) && value >= 0 && value < below) && !(orIgnored && value === -100));
  if (wrong !== undefined) throw new Error(`${name}: expected integers of 0 … ${below - 1}, found ${wrong}`);
  return converted;
}

function compareArrays(
  tensor: string,
  found: NDArray,
  expected: NDArray,
  tolerance: Tolerance,
  counts: (flat: number) => boolean,
): Pick<VerifyRow, "largestError" | "tolerance" | "ok"> {
  const text = toleranceText(tolerance);
  if (!shapesEqual(found.shape, expected.shape)) {
    throw new Error(`${tensor}: expected shape ${shapeText(expected.shape)} as stored, got ${shapeText(found.shape)}`);
  }
  const result = largestError(convert(found, "float32"), convert(expected, "float32"), tolerance, counts);
  return { ...result, tolerance: text };
}

function describe(entry: unknown): string {
  const what = typeof entry === "object" && entry !== null ? (entry as { what?: unknown }).what : undefined;
  return typeof what === "string" ? what : "";
}

const all = (): boolean => true;

function unpadded(padding: NDArray | undefined): NDArray | undefined {
  return (
    padding &&
    fromNumbers(
      padding.toNumbers().map((value) => 1 - value),
      padding.shape,
      "int32",
    )
  );
}

/** Which elements a compare_mask [B, T] leaves: rows of [B, T, …], query rows of maps [B, H, T, S]; encoder tensors are compared whole. */
function countsOf(tensor: string, { shape }: NDArray, mask: NDArray | undefined): (flat: number) => boolean {
  if (mask === undefined || tensor.startsWith("enc_")) return all;
  const [batch, length] = mask.shape as [number, number];
  const axis = /attn\d+$/.test(tensor) ? 2 : 1;
  if (mask.shape.length !== 2 || shape[0] !== batch || shape[axis] !== length) return all;
  const keep = mask.toNumbers();
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const middle = shape.slice(1, axis).reduce((a, b) => a * b, 1);
  return (flat) => {
    const row = Math.floor(flat / inner);
    return keep[Math.floor(row / (length * middle)) * length + (row % length)] !== 0;
  };
}
