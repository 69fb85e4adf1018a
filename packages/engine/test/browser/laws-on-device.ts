import type { Device } from "../../src/runtime/device.ts";
import type { Case } from "../primitives/case.ts";
import { cases } from "../primitives/cases.ts";
import { forwardProgram, lawsOf } from "../primitives/conformance.ts";

/** One law for one case of a primitive, as a test for devices other than the CPU of Node. */
export type DeviceTest = { readonly name: string; readonly check: (device: Device) => Promise<void> | void };

/** WGSL promises sine and cosine to 2⁻¹¹ only, in absolute terms and near zero. */
const sineTolerance = 1e-3;

export type Abilities = {
  /** Kernels in these types; GPUs have no float64, SwiftShader has no float16. */
  readonly without: readonly ("float64" | "float16")[];
  readonly coarseSine: boolean;
};

export const abilities: Readonly<Record<"wasm" | "webgpu", Abilities>> = {
  wasm: { without: [], coarseSine: false },
  webgpu: { without: ["float64", "float16"], coarseSine: true },
};

/** Every law that speaks of devices, for every case that a device can run. */
export function deviceTests({ without, coarseSine }: Abilities): DeviceTest[] {
  return Object.entries(cases).flatMap(([primitive, examples]) =>
    examples.flatMap((example) => {
      const text = forwardProgram(example).toString();
      if (without.some((dtype) => text.includes(dtype))) return [];
      const fair = coarseSine && /\b(sin|cos)\b/.test(text) ? withTolerance(example, sineTolerance) : example;
      return lawsOf(fair)
        .filter(({ name }) => name.startsWith("the device"))
        .map(({ name, check }) => ({
          name: `${primitive}, ${example.name}: ${name}`,
          check: (device) => check(fair, device),
        }));
    }),
  );
}

function withTolerance(example: Case, tolerance: number): Case {
  return { ...example, tolerance: Math.max(tolerance, example.tolerance ?? 0) };
}
