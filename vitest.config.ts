import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"] } },
  test: {
    // For tests that load ONNX Runtime themselves.
    env: { ORT_DISABLE_TELEMETRY: "1" },
    include: ["packages/*/test/**/*.test.ts", "bench/**/*.test.ts", "examples/**/*.test.ts"],
    // Those need Chromium: vitest.browser.config.ts.
    exclude: ["**/node_modules/**", "packages/*/test/browser/**"],
    maxWorkers: 2,
    testTimeout: 60_000,
  },
});

export default config;
