import { join } from "node:path";
import { type Bench, compareRow, median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { type DecodeResult, decodeWorkload } from "./decode.ts";
import { checkStep, type StepResult } from "./gpt-step.ts";
import { distFolder } from "./locations.ts";
import { ourSide } from "./sides.ts";
import { recipeGpt, smallGpt, type Workload } from "./workload.ts";

/** Configuration entries of ONNX Runtime's sessions (`onnxruntime_session_options_config_keys.h`) that are tried, by name. */
const candidates: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "denormals as zero": { "session.set_denormal_as_zero": "1" },
  "no spinning": { "session.intra_op.allow_spinning": "0" },
  "spinning for 100 µs": { "session.intra_op.spin_duration_us": "100" },
  "spinning for 1 ms": { "session.intra_op.spin_duration_us": "1000" },
  "back-off while spinning": { "session.intra_op.spin_backoff_max": "8" },
  "threads bound to cores": { "session.intra_op_thread_affinities": "2" },
};

const step: Workload = { ...smallGpt, steps: 6, warmup: 2 };

/** Some 900 short nodes. */
const tinyStep: Workload = { ...recipeGpt, steps: 100, warmup: 5 };

/** Two training steps and decoding with each candidate, in turn with the options as they are: the median of each process, the best of those. */
export const sessionOptions: Bench = {
  name: "session-options",
  about:
    "options of ONNX Runtime's sessions, each against the default, on the training step and in decoding (only when named)",
  onlyWhenNamed: true,
  onlyByName: true,
  run: async ({ rounds }) => {
    const rows: Row[] = [];
    const names = [null, ...Object.keys(candidates)];
    const measure = async (
      what: string,
      child: string,
      workload: Workload,
      read: (result: unknown, side: Side) => number,
    ) => {
      const sides = names.map((name) => sideWith(child, workload, name));
      const all = (await measureInTurn(sides, rounds, read)).map((times) =>
        times.length > 0 ? Math.min(...times) : null,
      );
      for (const [i, name] of names.entries()) {
        if (name !== null) rows.push(compareRow(name, what, "ms", "lower", all[i]!, all[0]!, "the default"));
      }
    };
    const stepMs = (workload: Workload) => (result: unknown, side: Side) =>
      median(checkStep(result as StepResult, workload, side).stepMs);
    await measure("training step", "gpt-step", step, stepMs(step));
    await measure("training step of nanoGPT's recipe", "gpt-step", tinyStep, stepMs(tinyStep));
    await measure("decoding 256 tokens", "decode", decodeWorkload, (result) => median((result as DecodeResult).runMs));
    return rows;
  },
};

/** Our child with entries added to the configuration of every session that it creates. */
function sideWith(child: string, workload: Workload, name: string | null): Side {
  const side = ourSide(child, workload);
  if (name === null) return { ...side, name: "the default" };
  const entries = JSON.stringify(candidates[name]);
  const preload = join(distFolder, "ours", "session-entries.js");
  return {
    ...side,
    name,
    command: "env",
    arguments: [`BENCH_SESSION_ENTRIES=${entries}`, process.execPath, "--import", preload, ...side.arguments],
  };
}
