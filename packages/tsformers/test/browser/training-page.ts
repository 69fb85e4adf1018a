import { openDevice, type WebDeviceName } from "@tsformers/engine/web";
import { lossCurve } from "./training.ts";

async function train(name: WebDeviceName, steps: number): Promise<{ losses: number[]; threads: boolean }> {
  const device = await openDevice(name);
  const losses = await lossCurve(device, steps);
  await device.close();
  return { losses, threads: globalThis.crossOriginIsolated };
}

Object.assign(globalThis, { train });
