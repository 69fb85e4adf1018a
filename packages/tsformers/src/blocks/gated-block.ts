import { type Concrete, type RandomKey, splitKey } from "@tsformers/engine";
import { type Activation, relu } from "../nn/feed-forward.ts";
import type { Gate } from "../nn/gate.ts";
import { type Block, type BlockParams, type BlockParts, blockAround, initBlock } from "./block.ts";

export type GatedBlockParts<Mix, Ffn, GateParams> = BlockParts<Mix, Ffn> & {
  /** Each sublayer has one of its own, with its own parameters. */
  readonly gate: Gate<GateParams>;
  /** Of what a sublayer computed, before the gate. Default: ReLU. */
  readonly activation?: Activation;
};

export type GatedBlockParams<Mix, Ffn, GateParams> = BlockParams<Mix, Ffn> & {
  mixerGate: GateParams;
  ffnGate: GateParams;
};

/**
 * `x ← gate₁(x, ReLU(mixer(norm(x))))`, `x ← gate₂(x, ReLU(ffn(norm(x))))`: norms stand before the sublayers only ("identity map
 * reordering"), so that the stream reaches the output untouched where the gates let it.
 *
 * @shape  x [B, T, C] → [B, T, C]
 * @cost   that of a pre-norm block and its gates: 6·C² multiplications a position for each {@link gruGate}
 * @source Parisotto et al. 2020, §3.1–3.2, arXiv:1910.06764
 */
export function gatedBlock<Mix, Ffn, GateParams>(
  parts: GatedBlockParts<Mix, Ffn, GateParams>,
): Block<GatedBlockParams<Mix, Ffn, GateParams>> {
  type Params = GatedBlockParams<Mix, Ffn, GateParams>;
  const { mixer, ffn, gate, activation = relu } = parts;
  const norm = parts.norm(parts.modelWidth);
  const init = (key: RandomKey) => {
    const [a, b, c] = splitKey(key, 3);
    const gates = { mixerGate: gate.init(b!), ffnGate: gate.init(c!) };
    return { ...initBlock(parts)(a!), ...gates } as Concrete<Params>;
  };
  return blockAround<Mix, Params>(
    mixer,
    init,
    (params, stream, mix, _, transform) => {
      const mixed = mix(stream, (x) => norm.apply(params.mixerNorm, x));
      const x = gate.apply(params.mixerGate, stream, activation(mixed));
      return gate.apply(params.ffnGate, x, activation(transform(norm.apply(params.ffnNorm, x))));
    },
    ffn,
  );
}
