import { add, type Concrete, type RandomKey, splitKey } from "@tsformers/engine";
import type { NormParams } from "../nn/norm.ts";
import { type Block, type BlockParams, type BlockParts, blockAround, initBlock } from "./block.ts";

export type SandwichBlockParams<Mix, Ffn> = BlockParams<Mix, Ffn> & {
  mixerOutNorm: NormParams;
  ffnOutNorm: NormParams;
};

/**
 * `x ← x + norm(mixer(norm(x)))`, `x ← x + norm(ffn(norm(x)))`: what goes into a sublayer is normalised, and what comes out of it, too.
 *
 * @shape  x [B, T, C] → [B, T, C]
 * @source Ding et al. 2021, "CogView", §2.4, arXiv:2105.13290; Gemma Team 2024, "Gemma 2", §2, arXiv:2408.00118
 */
export function sandwichBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<SandwichBlockParams<Mix, Ffn>> {
  type Params = SandwichBlockParams<Mix, Ffn>;
  const norm = parts.norm(parts.modelWidth);
  const init = (key: RandomKey) => {
    const [a, b, c] = splitKey(key, 3);
    return { ...initBlock(parts)(a!), mixerOutNorm: norm.init(b!), ffnOutNorm: norm.init(c!) } as Concrete<Params>;
  };
  return blockAround<Mix, Params>(
    parts.mixer,
    init,
    (params, x, mix, _, transform) => {
      const mixed = add(
        x,
        norm.apply(
          params.mixerOutNorm,
          mix(x, (x) => norm.apply(params.mixerNorm, x)),
        ),
      );
      return add(mixed, norm.apply(params.ffnOutNorm, transform(norm.apply(params.ffnNorm, mixed))));
    },
    parts.ffn,
  );
}
