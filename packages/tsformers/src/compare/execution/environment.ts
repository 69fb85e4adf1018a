import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { packageVersion } from "../../run/version.ts";
import type { Environment } from "../results.ts";

/** Describes this machine and the versions in use. */
export function describeEnvironment(): Environment {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() || "unknown processor",
    cores: processors.length,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    tsformers: packageVersion,
    onnxruntime: onnxruntimeVersion(),
  };
}

function onnxruntimeVersion(): string {
  try {
    return (createRequire(import.meta.url)("onnxruntime-node/package.json") as { version: string }).version;
  } catch {
    return "unknown";
  }
}
