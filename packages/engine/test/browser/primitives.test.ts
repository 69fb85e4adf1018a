import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../src/index.ts";
import { openWebGpu } from "../../src/runtime/node.ts";
import { type OpenPage, openPage } from "./chromium.ts";
import { abilities, deviceTests } from "./laws-on-device.ts";

describe("WebGPU in Node", () => {
  let device: Device | undefined;
  beforeAll(async () => {
    device = await openWebGpu();
  });
  afterAll(() => device?.close());

  for (const { name, check } of deviceTests(abilities.webgpu)) test(name, () => check(device!));
});

describe("Chromium", () => {
  let open: OpenPage | undefined;
  beforeAll(async () => {
    open = await openPage(new URL("primitives-page.ts", import.meta.url));
  });
  afterAll(() => open?.close());

  describe.each(["wasm", "webgpu"] as const)("%s", (device) => {
    deviceTests(abilities[device]).forEach(({ name }, index) => {
      test(name, async () => {
        const failure = await open!.page.evaluate(`check(${JSON.stringify(device)}, ${index})`);
        expect(failure).toBeUndefined();
      });
    });
  });
});
