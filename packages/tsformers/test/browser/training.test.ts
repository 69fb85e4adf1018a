import { openDevice } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type OpenPage, openPage } from "../../../engine/test/browser/chromium.ts";
import { lossCurve } from "./training.ts";

const steps = 20;

/** Kernels add up in other orders; twenty steps multiply the difference. */
const tolerance = 1e-3;

let open: OpenPage | undefined;
let onCpu: readonly number[] = [];
beforeAll(async () => {
  open = await openPage(new URL("training-page.ts", import.meta.url));
  onCpu = await lossCurve(await openDevice("cpu"), steps);
});
afterAll(() => open?.close());

test("the model learns on the CPU", () => {
  expect(onCpu.at(-1)).toBeLessThan(onCpu[0]! - 0.2);
});

test("WebGPU in Node gives the loss curve of the CPU", async () => {
  const device = await openDevice("webgpu");
  expectSame(await lossCurve(device, steps));
  await device.close();
});

test.each(["wasm", "webgpu"])("%s in Chromium gives the loss curve of Node's CPU", async (name) => {
  const { losses, threads } = await open!.page.evaluate<{ losses: number[]; threads: boolean }>(
    `train("${name}", ${steps})`,
  );
  expect(threads, "the page is cross-origin isolated, so that WebAssembly has threads").toBe(true);
  expectSame(losses);
});

function expectSame(losses: readonly number[]): void {
  const differences = losses.map((loss, i) => Math.abs(loss - onCpu[i]!));
  expect(losses).toHaveLength(steps);
  expect(Math.max(...differences), `losses ${losses} on the device, ${onCpu} on the CPU`).toBeLessThan(tolerance);
}
