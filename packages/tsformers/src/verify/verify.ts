import { join } from "node:path";
import {
  compile,
  convert,
  type Device,
  flatten,
  fromNumbers,
  type NDArray,
  readTree,
  Tensor,
  valueAndGradWithExtra,
} from "@tsformers/engine";
import { makeAveragingView } from "../attention/core/view.ts";
import type { CaseAbout, InputRule, NamedTensors } from "../io/hugging-face/format.ts";
import { type LoadedCheckpoint, loadHuggingFace } from "../io/hugging-face/load.ts";
import { writeNames } from "../io/hugging-face/names.ts";
import { jsonObject, readJsonFile } from "../io/read-json.ts";
import { evaluation } from "../kinds/layer.ts";
import {
  all,
  checkListed,
  compareArrays,
  pick,
  readCases,
  readTolerances,
  type StoredTensors,
  type Tolerances,
  type VerifyRow,
} from "./stored-cases.ts";
import { verifyMechanism } from "./verify-mechanism.ts";

export type { VerifyRow } from "./stored-cases.ts";

/**
 * Runs every stored case of a model or of a mechanism, and compares outputs, hidden states, attention maps, loss and gradients.
 *
 * The directory holds `cases.safetensors` (arrays `caseK.<tensor>`: inputs and expected results under the reference's names)
 * and `meta.json` (`tolerance`: outputs, loss, grads). With `"kind": "mechanism"` in it, {@link verifyMechanism} reads it;
 * otherwise the model is loaded from `config.json` and `model.safetensors`.
 *
 * @throws Error when a file is missing or damaged, the model or mechanism is not supported, or a case stores a result that is not
 *   computed
 */
export async function verifyDirectory(directory: string, options: { readonly device: Device }): Promise<VerifyRow[]> {
  const meta = readJsonFile(join(directory, "meta.json"), jsonObject);
  if (meta.kind === "mechanism") return verifyMechanism(directory, meta, options);
  const tolerances = readTolerances(meta);
  const entries = asRecord(meta.cases);
  const checkpoint = await loadHuggingFace(directory, { makeView: makeAveragingView });
  const rows: VerifyRow[] = [];
  for (const [name, tensors] of await readCases(directory)) {
    const { tensors: listed, what } = asRecord(entries[name]);
    checkListed(name, tensors, Array.isArray(listed) ? listed : []);
    try {
      const about = { ...asRecord(entries[name]), what: typeof what === "string" ? what : "" };
      rows.push(...(await verifyCase(name, tensors, checkpoint, { tolerances, about }, options.device)));
    } catch (error) {
      throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  return rows;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

async function verifyCase(
  name: string,
  tensors: StoredTensors,
  { architecture, params }: LoadedCheckpoint,
  of: { readonly tolerances: Tolerances; readonly about: CaseAbout },
  device: Device,
): Promise<VerifyRow[]> {
  const { probe, names } = architecture;
  const { tolerances } = of;
  const ruleOfInput = (name: string) =>
    Object.hasOwn(probe.inputs, name) ? probe.inputs[name] : probe.inputOf?.(name);
  const inputs = Object.fromEntries(
    [...tensors].flatMap(([input, array]) => {
      const rule = ruleOfInput(input);
      return rule === undefined ? [] : [[input, readInput(input, array, rule)] as const];
    }),
  );
  const about = { ...of.about, ...probe.staticOf?.(inputs) };
  const mask = tensors.get("compare_mask");
  const expected = [...tensors].filter(([tensor]) => ruleOfInput(tensor) === undefined && tensor !== "compare_mask");
  const outputs = expected.map(([tensor]) => tensor).filter((tensor) => !tensor.startsWith("grad."));
  const gradients = expected.flatMap(([tensor]) => (tensor.startsWith("grad.") ? [tensor.slice("grad.".length)] : []));
  const ruleOf = new Map(names.map((rule) => [rule.theirs, rule]));
  const unknown = gradients.filter((of) => !ruleOf.has(of) && inputs[of]?.dtype !== "float32");
  if (unknown.length > 0)
    throw new Error(`gradients are stored for ${unknown.join(", ")}, which the model does not have`);
  const paths = gradients.flatMap((of) => ruleOf.get(of)?.ours ?? []);

  const pass = (params: unknown, inputs: NamedTensors) => {
    const run = (params: unknown, inputs: NamedTensors) => pick(probe.run(params, inputs, evaluation, about), outputs);
    if (gradients.length === 0) return { outputs: run(params, inputs), parameters: {}, inputs: {} };
    const { gradient, extra } = valueAndGradWithExtra((given: { params: unknown; floats: NamedTensors }) => {
      const all = probe.run(given.params, { ...inputs, ...given.floats }, evaluation, about);
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
      const tolerance = tolerances[of !== undefined ? "grads" : tensor === "loss" ? "loss" : "outputs"];
      const real = inputs[probe.realOf?.(tensor) ?? ""];
      const compared = mask ?? unpadded(inputs[probe.padded?.[tensor] ?? ""]);
      const counts =
        of !== undefined ? all : real === undefined ? countsOf(tensor, array, compared) : rowsOf(tensor, array, real);
      return { case: name, tensor, ...compareArrays(tensor, ours, array, tolerance, counts) };
    });
  } finally {
    await compiled.release();
  }
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

/** Which elements count under a compare_mask [B, T]: rows of [B, T, …], query rows of maps [B, H, T, S]; encoder tensors as a whole. */
function countsOf(tensor: string, array: NDArray, mask: NDArray | undefined): (flat: number) => boolean {
  return mask === undefined || tensor.startsWith("enc_") ? all : rowsOf(tensor, array, mask);
}

function rowsOf(tensor: string, { shape }: NDArray, mask: NDArray): (flat: number) => boolean {
  const [batch, length] = mask.shape as [number, number];
  const axis = /attn(\d+|_full)$/.test(tensor) ? 2 : 1;
  if (mask.shape.length !== 2 || shape[0] !== batch || shape[axis] !== length) return all;
  const keep = mask.toNumbers();
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const middle = shape.slice(1, axis).reduce((a, b) => a * b, 1);
  return (flat) => {
    const row = Math.floor(flat / inner);
    return keep[Math.floor(row / (length * middle)) * length + (row % length)] !== 0;
  };
}
