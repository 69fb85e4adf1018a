import { defineConfig, type UserConfig } from "vite";

/** With these the page is cross-origin isolated, and WebAssembly has threads. Without them it works on one. */
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const config: UserConfig = defineConfig({
  server: { headers },
  preview: { headers },
  // The trainer loads its parts as it needs them, which a classic worker cannot.
  worker: { format: "es" },
});

export default config;
