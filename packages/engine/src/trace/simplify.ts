import { NDArray } from "../array/nd-array.ts";
import { Program } from "./program.ts";
import type { Equation, Tensor } from "./tensor.ts";

/**
 * The program without equations that no output depends on, and with equal equations merged.
 *
 * Merging does not undo recomputation: what is recomputed reads its own `after`, and is therefore different.
 */
export function simplify(program: Program): Program {
  return mergeEqual(dropUnread(program));
}

/** The program without equations that no output depends on. */
export function dropUnread(program: Program): Program {
  const needed = new Set<Tensor>(program.outputs);
  const kept: Equation[] = [];
  for (const equation of [...program.equations].reverse()) {
    if (!equation.outputs.some((output) => needed.has(output))) continue;
    for (const input of equation.inputs) needed.add(input);
    kept.push(equation);
  }
  return new Program(program.inputs, kept.reverse(), program.outputs);
}

function mergeEqual(program: Program): Program {
  const numbers = new Map<Tensor, number>();
  const numberOf = (tensor: Tensor): number => {
    const known = numbers.get(tensor) ?? numbers.size;
    numbers.set(tensor, known);
    return known;
  };
  const replaced = new Map<Tensor, Tensor>();
  const resolve = (tensor: Tensor): Tensor => replaced.get(tensor) ?? tensor;
  const seen = new Map<string, Equation>();
  const kept: Equation[] = [];
  for (const equation of program.equations) {
    const inputs = equation.inputs.map(resolve);
    const params = paramsText(equation.params);
    const key = params === undefined ? undefined : [equation.primitive.name, ...inputs.map(numberOf), params].join(" ");
    const twin = key === undefined ? undefined : seen.get(key);
    if (twin !== undefined) {
      equation.outputs.forEach((output, i) => {
        replaced.set(output, twin.outputs[i]!);
      });
      continue;
    }
    const merged = { ...equation, inputs };
    if (key !== undefined) seen.set(key, merged);
    kept.push(merged);
  }
  return new Program(program.inputs, kept, program.outputs.map(resolve));
}

/** Equal text for equal parameters; `undefined` for those that are not compared (programs). Large arrays are compared by identity. */
export function paramsText(params: unknown): string | undefined {
  const entries = Object.entries(params as Record<string, unknown>).map(([name, value]) => [name, valueText(value)]);
  return entries.some(([, text]) => text === undefined) ? undefined : entries.join(";");
}

function valueText(value: unknown): string | undefined {
  if (value instanceof NDArray) {
    return value.size <= 16 ? `${value.dtype}[${value.shape.join()}]${value.data.join()}` : `array ${identity(value)}`;
  }
  if (value instanceof Program || typeof value === "function") return undefined;
  return JSON.stringify(value, (_, item) => (typeof item === "number" ? String(item) : item)) ?? "undefined";
}

const identities = new WeakMap<NDArray, number>();
let identified = 0;

function identity(array: NDArray): number {
  const known = identities.get(array) ?? identified++;
  identities.set(array, known);
  return known;
}
