import { expect, test } from "vitest";
import { openDevice } from "../../src/runtime/node.ts";
import { openDevice as openWebDevice } from "../../src/runtime/web.ts";

test("unknown names are told the known ones", async () => {
  await expect(openDevice("gpu" as never)).rejects.toThrow('openDevice: expected one of cpu, webgpu, cuda, got "gpu"');
  await expect(openWebDevice("cpu" as never)).rejects.toThrow('openDevice: expected one of wasm, webgpu, got "cpu"');
});

test.each([
  ["cuda", /cuda: ONNX Runtime could not open.*ONNXRUNTIME_NODE_INSTALL=cuda12 node .*install\.js/s],
  ["webgpu", /webgpu: ONNX Runtime could not open.*apt-get install libvulkan1.*VK_ICD_FILENAMES/s],
] as const)("%s says what was tried and how to get it where it is missing", async (name, message) => {
  const opened = await openDevice(name).catch((error: Error) => error.message);
  if (typeof opened === "string") expect(opened).toMatch(message);
  else await opened.close();
});

test("WebGPU of the browser is missing in Node, and the message says so", async () => {
  await expect(openWebDevice("webgpu")).rejects.toThrow("webgpu: navigator.gpu is missing");
});
