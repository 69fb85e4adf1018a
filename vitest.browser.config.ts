import { existsSync } from "node:fs";
import { defineConfig, type ViteUserConfig } from "vitest/config";

// WebGPU in Node computes on SwiftShader from Debian's chromium package where there is no other driver; the loader of
// libraries reads this environment when the processes of the tests start.
const chromium = "/usr/lib/chromium";
if (existsSync(`${chromium}/vk_swiftshader_icd.json`)) {
  process.env.LD_LIBRARY_PATH ??= chromium;
  process.env.VK_ICD_FILENAMES ??= `${chromium}/vk_swiftshader_icd.json`;
}

/** Tests of the devices that need a browser or its parts: `npm run test:browser`. */
const config: ViteUserConfig = defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"] } },
  test: {
    // For tests that load ONNX Runtime themselves.
    env: { ORT_DISABLE_TELEMETRY: "1" },
    include: ["packages/*/test/browser/*.test.ts"],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});

export default config;
