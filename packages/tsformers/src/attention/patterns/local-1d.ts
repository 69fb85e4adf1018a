import type { Pattern } from "./pattern.ts";
import { expectWhole, span } from "./span.ts";

/**
 * One-dimensional local attention: the query's own block and the whole block before it.
 *
 * `S_i = {j : ⌊j/l⌋ ∈ {⌊i/l⌋ − 1, ⌊i/l⌋}, j ≤ i}`; not causal: the whole own block, and the block after it as well.
 *
 * @cost   O(n·l) pairs
 * @source Parmar et al. 2018, "Image Transformer", §3.3, arXiv:1802.05751
 * @differs memory blocks are as long as query blocks, as in the authors' code; in the paper their length may differ
 */
export function local1d({ block, causal }: { readonly block: number; readonly causal: boolean }): Pattern {
  expectWhole("local-1d", "block", block, 1);
  return {
    name: `1-D local (blocks of ${block})`,
    keys: (query, length) => {
      const first = query - (query % block);
      return span(first - block, causal ? query + 1 : first + 2 * block, length);
    },
  };
}
