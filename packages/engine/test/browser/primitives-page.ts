import type { Device } from "../../src/runtime/device.ts";
import { openDevice, type WebDeviceName } from "../../src/runtime/web.ts";
import { abilities, deviceTests } from "./laws-on-device.ts";

const devices = new Map<WebDeviceName, Promise<Device>>();

/** The message of the error with which test number `index` fails on a device of this page; `undefined` when it passes. */
async function check(name: WebDeviceName, index: number): Promise<string | undefined> {
  const device = devices.get(name) ?? openDevice(name);
  devices.set(name, device);
  try {
    await deviceTests(abilities[name])[index]!.check(await device);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

Object.assign(globalThis, { check });
