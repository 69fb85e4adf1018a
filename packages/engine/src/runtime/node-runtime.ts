import { isMainThread } from "node:worker_threads";
import { type Ort, ortVersion } from "./ort.ts";

/**
 * Loads onnxruntime-node with its telemetry off.
 *
 * @throws Error with instructions when the package, or its binary for this platform, is missing
 */
export async function loadRuntime(): Promise<Ort> {
  disableTelemetry();
  try {
    return await import("onnxruntime-node");
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const advice = said.includes("'onnxruntime-node'")
      ? `which is not installed: npm install --ignore-scripts onnxruntime-node@${ortVersion}`
      : `which does not load on ${process.platform} ${process.arch}: ${said}`;
    throw new Error(`the devices of Node run on onnxruntime-node, ${advice}`, { cause });
  }
}

/**
 * Switches ONNX Runtime's telemetry off for this process and its children. `ORT_DISABLE_TELEMETRY` takes precedence if set: `0`
 * leaves telemetry on, in which case ONNX Runtime keeps a device id and a store of events in the user's cache folder and resolves its
 * vendor's host. Every device of Node calls this before it loads the runtime; if only worker threads open devices, call it in the
 * main thread before they start.
 *
 * @throws Error in a worker thread started without the variable: ONNX Runtime does not see a thread's environment
 */
export function disableTelemetry(): void {
  if (process.env.ORT_DISABLE_TELEMETRY) return;
  if (!isMainThread) {
    throw new Error(
      "a worker thread cannot switch ONNX Runtime's telemetry off: call disableTelemetry() of @tsformers/engine/node in the main thread before the worker starts, or start Node with ORT_DISABLE_TELEMETRY=1 (0 leaves it on)",
    );
  }
  process.env.ORT_DISABLE_TELEMETRY = "1";
}
