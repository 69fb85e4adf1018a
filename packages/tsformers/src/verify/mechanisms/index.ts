import type { Mechanism } from "../../kinds/mechanism.ts";

/** Mechanisms that can be verified, by the fixture's name. */
export const mechanisms: Readonly<Record<string, () => Promise<Mechanism>>> = {
  act: async () => (await import("./act.ts")).act,
  alibi: async () => (await import("./alibi.ts")).alibi,
  sinusoidal: async () => (await import("./sinusoidal.ts")).sinusoidal,
  t5_buckets: async () => (await import("./t5-buckets.ts")).t5Buckets,
  linear_attention: async () => (await import("./linear-attention.ts")).linearAttention,
  performer: async () => (await import("./performer.ts")).performer,
  routing: async () => (await import("./routing.ts")).routing,
  sinkhorn: async () => (await import("./sinkhorn.ts")).sinkhorn,
  rfa: async () => (await import("./rfa.ts")).rfa,
  gtrxl_gate: async () => (await import("./gtrxl-gate.ts")).gtrxlGate,
  linformer: async () => (await import("./linformer.ts")).linformer,
  memory_compressed: async () => (await import("./memory-compressed.ts")).memoryCompressed,
  lsh_attention: async () => (await import("./lsh-attention.ts")).lshAttention,
  synthesizer: async () => (await import("./synthesizer.ts")).synthesizer,
  shaw_relative: async () => (await import("./shaw-relative.ts")).shawRelative,
  da_transformer: async () => (await import("./da-transformer.ts")).daTransformer,
  adaptive_span: async () => (await import("./adaptive-span.ts")).adaptiveSpans,
  axial_position: async () => (await import("./axial-position.ts")).axialPosition,
  set_transformer: async () => (await import("./set-transformer.ts")).setTransformer,
  sparse_transformer: async () => (await import("./sparse-transformer.ts")).sparseTransformer,
  blockwise: async () => (await import("./blockwise.ts")).blockwise,
  image_local: async () => (await import("./image-local.ts")).imageLocal,
  axial_attention: async () => (await import("./axial-attention.ts")).axialAttention,
  etc_global_local: async () => (await import("./etc-global-local.ts")).etcGlobalLocal,
};
