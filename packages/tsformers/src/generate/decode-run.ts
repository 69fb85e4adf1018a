import { add, concat, iota, reshape, scan, type Tensor, zeros } from "@tsformers/engine";
import { writeRows } from "../attention/core/cached-entries.ts";
import type { KeyValueCache } from "../kinds/index.ts";
import { evaluation } from "../kinds/layer.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { lastOf } from "./decode-cache.ts";
import { type GivenRun, type Kept, runSlots } from "./decode-slots.ts";
import { type DrawForm, type DrawInputs, drawInGraph } from "./draw-in-graph.ts";

/** Where a run begins. */
export type RunStart = {
  /** The first token, int32 [1, 1]. */
  readonly token: Tensor;
  /** Positions before it, int32 scalar. */
  readonly length: Tensor;
  readonly draw: DrawInputs;
  readonly given: readonly GivenRun<Tensor>[];
};

/** Logits behind each token of a run, [R, V]; the tokens drawn from them, int32 [R]; keys and values of the run, [1, K, R, D]. */
export type Run<Leaf = Tensor, Layer = KeyValueCache> = {
  readonly logits: Leaf;
  readonly tokens: Leaf;
  readonly layers: readonly Layer[];
};

/**
 * Several decoding steps in one run of a program, to be traced: each token is drawn inside, from the logits of the one before it.
 *
 * The caches are only read. What the run itself computes is carried in buffers of its length.
 */
export function decodeRun<Params>(
  model: LanguageModel<Params>,
  kept: readonly Kept[],
  form: DrawForm,
): (params: Params, layers: readonly KeyValueCache[], start: RunStart) => Run {
  const kinds = [...new Set(kept)];
  return (params, layers, { token, length, draw, given }) => {
    const count = draw.uniforms.shape[0]!;
    const empty = (x: Tensor) => zeros([1, x.shape[1]!, count, x.shape[3]!]);
    const buffers = layers.map(({ key, value }): KeyValueCache => ({ key: empty(key), value: empty(value) }));
    const each = { at: iota(count), uniform: draw.uniforms, visible: given.map(({ visible }) => visible) };
    const [last, { logits, tokens }] = scan(
      (carry: { token: Tensor; buffers: KeyValueCache[] }, { at, uniform, visible }: EachStep) => {
        const position = add(length, at);
        const seen = kinds.map((own, kind) => runSlots(own, position, { ...given[kind]!, ...shown(visible[kind]) }));
        const slots = kept.map((own) => seen[kinds.indexOf(own)]!);
        const entries = layers.map((entry, layer) => joined(entry, carry.buffers[layer]!));
        const decode = { layers: entries, position, capacity: entries[0]!.key.shape[2]!, slots };
        const out = model.apply(params, { tokens: carry.token, decode }, evaluation);
        const kv = out.state.decode as readonly KeyValueCache[];
        const row = reshape(at, [1]);
        const next = carry.buffers.map((buffer, layer) => {
          const { key, value } = kv[layer]!;
          return writeRows(buffer, { key: lastOf(key, 1), value: lastOf(value, 1) }, row);
        });
        const logits = reshape(out.logits, [-1]);
        const drawn = drawInGraph(logits, form, { ...draw, uniform });
        return [
          { token: reshape(drawn, [1, 1]), buffers: next },
          { logits, tokens: drawn },
        ] as const;
      },
      { token, buffers },
      each,
      { unroll: false },
    );
    return { logits, tokens, layers: last.buffers };
  };
}

type EachStep = { readonly at: Tensor; readonly uniform: Tensor; readonly visible: readonly (Tensor | undefined)[] };

function shown(visible: Tensor | undefined): { readonly visible?: Tensor } {
  return visible === undefined ? {} : { visible };
}

function joined(kept: KeyValueCache, run: KeyValueCache): KeyValueCache {
  return { key: concat([kept.key, run.key], 2), value: concat([kept.value, run.value], 2) };
}
