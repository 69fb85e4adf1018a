import { type Bench, compareRow, median } from "./bench.ts";
import { measureInTurn } from "./child.ts";
import { ourSide } from "./sides.ts";
import { smallGpt, type Workload } from "./workload.ts";

/** What the child of this bench prints, in milliseconds. */
export type StartupResult = {
  /** Tracing and differentiating the step. */
  readonly traceMs: number;
  /** Lowering it to an ONNX model. */
  readonly lowerMs: number;
  /** Creating the ONNX Runtime session. */
  readonly sessionMs: number;
  /** Nodes of the graph handed to ONNX Runtime. */
  readonly nodes: number;
};

const workload: Workload = { ...smallGpt, layers: 12, steps: 1, warmup: 0 };

/** From a function to a session that can run: tracing, lowering and session creation of a 12-layer training step. */
export const startup: Bench = {
  name: "startup",
  about: "tracing, lowering and session creation of a 12-layer GPT training step",
  run: async ({ rounds }) => {
    const [results] = await measureInTurn([ourSide("startup", workload)], rounds, (result) => result as StartupResult);
    const row = (metric: string, unit: string, read: (result: StartupResult) => number) => {
      const ours = results!.length === 0 ? null : median(results!.map(read));
      return compareRow("startup 12 layers", metric, unit, "lower", ours, null, null);
    };
    return [
      row("trace and differentiate", "ms", ({ traceMs }) => traceMs),
      row("lower to ONNX", "ms", ({ lowerMs }) => lowerMs),
      row("create the session", "ms", ({ sessionMs }) => sessionMs),
      row("in all (target 3000)", "ms", ({ traceMs, lowerMs, sessionMs }) => traceMs + lowerMs + sessionMs),
      row("graph", "nodes", ({ nodes }) => nodes),
    ];
  },
};
