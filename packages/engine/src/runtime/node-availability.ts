import { encodeModel } from "../onnx/encode.ts";
import { identityModel } from "./identity-model.ts";
import type { Ort } from "./ort.ts";

const advice = {
  webgpu: `WebGPU needs a graphics driver; on Linux that is Vulkan: its loader (\`apt-get install libvulkan1\`) and the
driver of the GPU. Without a GPU, SwiftShader computes on the CPU, slowly: \`apt-get install chromium\`, then start with
  LD_LIBRARY_PATH=/usr/lib/chromium VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json node …`,
  cuda: `CUDA works on Linux x64 with an NVIDIA driver, CUDA 12 and cuDNN 9. ONNX Runtime's own CUDA libraries (from nuget.org) are
not part of its npm package; its install script fetches them:
  ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js`,
} as const;

/**
 * Tests a device of Node with a minimal model.
 * @throws Error saying what was tried, what ONNX Runtime reported and how to get the device
 */
export async function requireAvailable(name: "webgpu" | "cuda", { InferenceSession }: Ort): Promise<void> {
  try {
    const session = await InferenceSession.create(encodeModel(identityModel("float32", 1)), {
      executionProviders: [name],
      // Log fatal errors only: the exception has the information.
      logSeverityLevel: 4,
    });
    await session.release();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    // A failed check in ONNX Runtime begins with its source line and ends with the reason.
    const said = message.split(" was false. ").at(-1)!.trim();
    throw new Error(`${name}: ONNX Runtime could not open the device, it said: ${said}\n${advice[name]}`, { cause });
  }
}
