/** Loaded before a child of the session-options bench: adds the entries of BENCH_SESSION_ENTRIES to every session's configuration. */
import { InferenceSession } from "onnxruntime-node";

type Entries = Readonly<Record<string, unknown>>;

/** `{ "session.a_b": "1" }` → `{ session: { a_b: "1" } }`, as ONNX Runtime for JavaScript takes it, joined to what is there. */
function joined(extra: Entries, entries: Readonly<Record<string, string>>): Entries {
  const result = structuredClone(extra) as Record<string, unknown>;
  for (const [path, value] of Object.entries(entries)) {
    const names = path.split(".");
    let at = result;
    for (const name of names.slice(0, -1)) at = (at[name] ??= {}) as Record<string, unknown>;
    at[names.at(-1)!] = value;
  }
  return result;
}

const entries = JSON.parse(process.env.BENCH_SESSION_ENTRIES ?? "{}") as Readonly<Record<string, string>>;
const create = InferenceSession.create.bind(InferenceSession) as (
  model: unknown,
  options?: InferenceSession.SessionOptions,
) => Promise<InferenceSession>;
InferenceSession.create = ((model: unknown, options: InferenceSession.SessionOptions = {}) =>
  create(model, { ...options, extra: joined(options.extra ?? {}, entries) })) as typeof InferenceSession.create;
