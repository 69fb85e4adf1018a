import { isFloat } from "../../src/array/dtype.ts";
import { convert, fromNumbers, NDArray } from "../../src/array/nd-array.ts";
import { normal } from "../../src/array/random.ts";
import { randomKey } from "../../src/array/random-key.ts";
import { shapesEqual } from "../../src/array/shape.ts";
import { grad } from "../../src/grad/grad.ts";
import { toOnnx } from "../../src/onnx/lower.ts";
import type { OnnxModel } from "../../src/onnx/model.ts";
import { add, mul } from "../../src/primitives/arithmetic.ts";
import { sum } from "../../src/primitives/reduce.ts";
import type { Device } from "../../src/runtime/device.ts";
import { interpret } from "../../src/trace/interpret.ts";
import { type Program, traceBody } from "../../src/trace/program.ts";
import { constant, Tensor } from "../../src/trace/tensor.ts";
import type { Case } from "./case.ts";

/** Errors of central differences in float64 with the step below: about step² times a third derivative. */
const differenceTolerance = 2e-6;
const step = 1e-4;

/** float32 carries about seven digits; sums of a few terms lose one or two of them. */
const deviceTolerance = 1e-5;

export type Law = { readonly name: string; readonly check: (example: Case, device: Device) => Promise<void> | void };

const forwardLaw: Law = {
  name: "the device agrees with the reference",
  check: (example, device) =>
    compareOnDevice(forwardProgram(example), example.inputs(), device, example.tolerance ?? deviceTolerance),
};

const portableLaw: Law = {
  name: "the portable model agrees and has standard operators only",
  check: async (example, device) => {
    const program = forwardProgram(example);
    const model = toOnnx(program, { portable: true });
    const foreign = model.graph.nodes.find(({ domain }) => domain !== "");
    if (foreign !== undefined) throw new Error(`the portable model has ${foreign.domain}.${foreign.op}`);
    await compareOnDevice(program, example.inputs(), device, example.tolerance ?? deviceTolerance, model);
  },
};

const gradientLaws: readonly Law[] = [
  {
    name: "gradients are central differences",
    check: (example) => compareWithDifferences(lossProgram(example, 0), lossProgram(example, 1), example),
  },
  {
    name: "gradients of gradients are central differences",
    check: (example) => compareWithDifferences(lossProgram(example, 2), lossProgram(example, 3), example),
  },
  {
    name: "the device agrees with the reference on gradients",
    check: (example, device) => {
      const tolerance = 10 * (example.tolerance ?? deviceTolerance);
      return compareOnDevice(lossProgram(example, 1), example.inputs(), device, tolerance);
    },
  },
];

/** float16 carries three digits; gradients add up a few of its errors. */
const halfTolerance = 1e-2;

/** A law of its own, since not every device has kernels for float16. */
export const halfLaw: Law = {
  name: "the device agrees with the reference in float16",
  check: async (example, device) => {
    const half = { ...example, inputs: () => example.inputs().map((array) => narrowed(array)) };
    await compareOnDevice(forwardProgram(half), half.inputs(), device, halfTolerance);
    if (example.noGradient !== undefined) return;
    await compareOnDevice(lossProgram(half, 1), half.inputs(), device, 10 * halfTolerance);
  },
};

/** Whether a case makes sense in float16: its floats are float32. */
export function hasHalf(example: Case): boolean {
  const dtypes = example.inputs().map(({ dtype }) => dtype);
  return dtypes.includes("float32") && !dtypes.includes("float64");
}

function narrowed(array: NDArray): NDArray {
  return array.dtype === "float32" ? convert(array, "float16") : array;
}

/** The laws that a case must keep. Each throws an error that says where the two sides differ. */
export function lawsOf(example: Case): readonly Law[] {
  return example.noGradient === undefined ? [forwardLaw, portableLaw, ...gradientLaws] : [forwardLaw, portableLaw];
}

export function forwardProgram(example: Case): Program {
  return traceBody(example.inputs(), (inputs) => example.apply(...inputs)).program;
}

/**
 * Programs of a case's inputs. Order 0: a loss, the float outputs weighted by fixed random numbers and added up. 1: its
 * gradient. 2: that gradient weighted and added up. 3: the gradient of the latter.
 */
export function lossProgram(example: Case, order: 0 | 1 | 2 | 3): Program {
  const loss = (inputs: Tensor[]) => weighted(listOf(example.apply(...inputs)), 1);
  const weightedGradient = (inputs: Tensor[]) => weighted(gradientOf(loss, inputs), 2);
  return traceBody(example.inputs(), (inputs) => {
    if (order === 0) return loss(inputs);
    if (order === 1) return gradientOf(loss, inputs);
    return order === 2 ? weightedGradient(inputs) : gradientOf(weightedGradient, inputs);
  }).program;
}

/** d loss / d input for each float input. */
function gradientOf(loss: (inputs: Tensor[]) => Tensor, inputs: Tensor[]): Tensor[] {
  const floats = inputs.filter(({ dtype }) => isFloat(dtype));
  const withFloats = (given: Tensor[]) => {
    const rest = [...given];
    return loss(inputs.map((input) => (isFloat(input.dtype) ? rest.shift()! : input)));
  };
  return grad(withFloats)(floats);
}

function listOf(outputs: Tensor | readonly Tensor[]): readonly Tensor[] {
  return outputs instanceof Tensor ? [outputs] : outputs;
}

function weighted(outputs: readonly Tensor[], seed: number): Tensor {
  const terms = outputs
    .filter(({ dtype }) => isFloat(dtype))
    .map((output, i) => {
      const weights = normal(randomKey(1000 * seed + i), output.shape);
      return sum(mul(output, constant(convert(weights, output.dtype))));
    });
  return terms.reduce((a, b) => add(a, b));
}

/** Compares the gradient program with differences of the scalar program, element by element of every float input. */
function compareWithDifferences(scalar: Program, gradient: Program, example: Case): void {
  const inputs = example.inputs().map(widened);
  const gradients = interpret(gradient, inputs);
  let which = 0;
  inputs.forEach((input, position) => {
    if (!isFloat(input.dtype)) return;
    const at = (element: number, delta: number) => {
      const moved = (input.data as Float64Array).slice();
      moved[element]! += delta;
      const array = new NDArray(input.shape, "float64", moved);
      return interpret(
        scalar,
        inputs.map((other, i) => (i === position ? array : other)),
      )[0]!.item();
    };
    const differences = Array.from({ length: input.size }, (_, i) => (at(i, step) - at(i, -step)) / (2 * step));
    const expected = fromNumbers(differences, input.shape, "float64");
    compareArrays(gradients[which++]!, expected, differenceTolerance, `gradient of input ${position}`);
  });
}

function widened(array: NDArray): NDArray {
  return isFloat(array.dtype) ? convert(array, "float64") : array;
}

async function compareOnDevice(
  program: Program,
  inputs: readonly NDArray[],
  device: Device,
  tolerance: number,
  model: OnnxModel = toOnnx(program),
): Promise<void> {
  const expected = interpret(program, inputs);
  const executable = await device.load(model);
  try {
    const results = await executable.run(
      inputs.map((input) => device.put(input)),
      [],
    );
    for (const [i, result] of results.entries()) {
      if (result.dtype !== program.outputs[i]!.dtype) {
        throw new Error(`output ${i}: expected dtype ${program.outputs[i]!.dtype}, got ${result.dtype}`);
      }
      compareArrays(await result.read(), expected[i]!, tolerance, `output ${i}`);
    }
  } finally {
    await executable.release();
  }
}

function compareArrays(actual: NDArray, expected: NDArray, tolerance: number, what: string): void {
  if (!shapesEqual(actual.shape, expected.shape)) {
    throw new Error(`${what}: expected shape [${expected.shape}], got [${actual.shape}]`);
  }
  const wanted = expected.toNumbers();
  actual.toNumbers().forEach((x, i) => {
    const y = wanted[i]!;
    const close = Object.is(x, y) || x === y || Math.abs(x - y) <= tolerance * (1 + Math.abs(y));
    if (!close) throw new Error(`${what}, element ${i} of [${expected.shape}]: expected ${y}, got ${x}`);
  });
}
