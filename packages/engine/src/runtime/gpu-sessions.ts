import type { InferenceSession, Tensor } from "onnxruntime-web";
import { encodeModel } from "../onnx/encode.ts";
import type { OnnxModel, OnnxNode } from "../onnx/model.ts";
import type { Ort } from "./ort.ts";
import { withinLimit, wordNodes } from "./word-nodes.ts";

/** A session, with those of its results that are in use: they are in its memory, so it must outlive them. */
export type Owner = { readonly session: InferenceSession; readonly living: Set<Buffer>; released: boolean };

/** A result on the GPU. */
export type Buffer = { readonly tensor: Tensor; readonly owner: Owner };

export type GpuSessions = {
  /** Opens a session whose results stay on the GPU, or are copied to the CPU. */
  open(model: OnnxModel, resultsOnGpu: boolean): Promise<Owner>;
  /** Marks a result as in use until it is passed to `free`. */
  keep(tensor: Tensor, owner: Owner): Buffer;
  free(buffer: Buffer): Promise<void>;
  /** Frees the session once none of its results is in use: freeing a result after its session crashes the process. */
  close(owner: Owner): Promise<void>;
  /** Frees all results and all sessions. */
  closeAll(): Promise<void>;
};

export function gpuSessions(ort: Ort, options: InferenceSession.SessionOptions): GpuSessions {
  const owners = new Set<Owner>();
  const sessions: GpuSessions = {
    open: async (model, resultsOnGpu) => {
      const locations = model.graph.outputs.map(({ name, dtype, shape }) => {
        const fits = dtype !== "float64" && !shape.includes(0);
        return [name, resultsOnGpu && fits ? "gpu-buffer" : "cpu"] as const;
      });
      const words = wordNodes(model.graph);
      const nameOf = (node: OnnxNode) => words.get(node) ?? node.outputs.find((output) => output !== "")!;
      const session = await ort.InferenceSession.create(encodeModel(model, nameOf), {
        ...options,
        executionProviders: [
          { name: "webgpu", ...(words.size > 0 && { forceCpuNodeNames: withinLimit(words.values()) }) },
        ],
        preferredOutputLocation: Object.fromEntries(locations),
      });
      const owner: Owner = { session, living: new Set(), released: false };
      owners.add(owner);
      return owner;
    },
    keep: (tensor, owner) => {
      const buffer = { tensor, owner };
      owner.living.add(buffer);
      return buffer;
    },
    free: async (buffer) => {
      const { tensor, owner } = buffer;
      if (!owner.living.delete(buffer)) return;
      tensor.dispose();
      if (owner.released) await sessions.close(owner);
    },
    close: async (owner) => {
      owner.released = true;
      if (owner.living.size === 0 && owners.delete(owner)) await owner.session.release();
    },
    closeAll: async () => {
      for (const owner of [...owners]) {
        for (const buffer of [...owner.living]) await sessions.free(buffer);
        await sessions.close(owner);
      }
    },
  };
  return sessions;
}
