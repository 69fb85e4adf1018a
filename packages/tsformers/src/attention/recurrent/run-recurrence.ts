import { broadcastTo, type Tensor, transpose, withOperator, zeros } from "@tsformers/engine";
import { joinHeads, splitHeads } from "../softmax/attention.ts";
import { linearRecurrence, type Recurred, type RecurrenceInput, type RecurrenceOptions } from "./linear-recurrence.ts";

/** Features of a key that ONNX Runtime's operator takes on every device. */
const widest = 256;

/**
 * {@link linearRecurrence} where no gradient is wanted: by ONNX Runtime's operator `LinearAttention`, which goes through the positions one by
 * one and is several times as fast. Portable models have the chunks; gradients are theirs, too.
 */
export function runRecurrence(input: RecurrenceInput, options: RecurrenceOptions = {}): Recurred {
  const { q, k, v, logDecay, beta } = input;
  const [batch, heads, , keyWidth] = q.shape as [number, number, number, number];
  if (keyWidth > widest) return linearRecurrence(input, options);
  const byFeature = logDecay?.shape.length === 4;
  const state = options.state ?? zeros([batch, heads, keyWidth, v.shape[3]!]);
  const decay =
    logDecay && (byFeature ? joinHeads(logDecay) : perHead(broadcastTo(logDecay, [batch, ...logDecay.shape.slice(1)])));
  const further = [decay, beta && perHead(beta)].filter((x) => x !== undefined);
  const rule = beta === undefined ? (decay === undefined ? "linear" : "gated") : decay ? "gated_delta" : "delta";
  const run = withOperator(
    (graph, names) => {
      const [query, key, value, before, ...rest] = names;
      const inputs = [query!, key!, value!, before!, decay ? rest[0]! : "", beta ? rest.at(-1)! : ""];
      const sizes = { q_num_heads: { int: heads }, kv_num_heads: { int: heads }, scale: { float: 1 } };
      const attributes = { update_rule: { string: rule }, ...sizes };
      return graph.nodeWithOutputs("LinearAttention", inputs, 2, { domain: "com.microsoft", attributes });
    },
    (query, key, value, before, ...rest) => {
      const inHeads = (x: Tensor) => splitHeads(x, heads);
      const given: RecurrenceInput = {
        q: inHeads(query!),
        k: inHeads(key!),
        v: inHeads(value!),
        ...(decay && { logDecay: byFeature ? inHeads(rest[0]!) : perHead(rest[0]!) }),
        ...(beta && { beta: perHead(rest.at(-1)!) }),
      };
      const { mixed, state } = linearRecurrence(given, { ...options, state: before! });
      return [joinHeads(mixed), state];
    },
  );
  const [mixed, last] = run(joinHeads(q), joinHeads(k), joinHeads(v), state, ...further) as [Tensor, Tensor];
  return { mixed: splitHeads(mixed, heads), state: last };
}

/** [B, H, T] ↔ [B, T, H] */
const perHead = (x: Tensor): Tensor => transpose(x, [0, 2, 1]);
