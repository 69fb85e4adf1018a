import { countRuns } from "../core/runs.ts";
import { headsOf, type Pattern } from "./pattern.ts";

export type PatternCount = {
  /** Visible pairs of a query and a key, averaged over the heads. */
  readonly pairs: number;
  /** Visible pairs of each head that differs. */
  readonly pairsOfHeads: readonly number[];
  /** `pairs / (queries·keys)` */
  readonly density: number;
};

/** Counts the visible pairs of a pattern exactly, for given numbers of queries and keys. */
export function countPattern(pattern: Pattern, queries: number, keys: number = queries): PatternCount {
  const pairsOfHeads = headsOf(pattern).map((own) => {
    let pairs = 0;
    for (let query = 0; query < queries; query++) pairs += countRuns(own.keys(query, keys));
    return pairs;
  });
  const pairs = pairsOfHeads.reduce((a, b) => a + b, 0) / pairsOfHeads.length;
  return { pairs, pairsOfHeads, density: pairs / (queries * keys) };
}

/**
 * Floating-point operations of attention over a pattern, forward, one sequence.
 *
 * `2·D·Σ_h pairs_h` for the logits and as many for the weighted sums: `4·D·Σ_h pairs_h`. Not included: the softmax, hidden pairs
 * computed at the edges of blocks (`computedPairs` in `plan.ts` counts those), and the projections.
 */
export function attentionFlops(
  { pairsOfHeads }: PatternCount,
  { heads, headWidth }: { readonly heads: number; readonly headWidth: number },
): number {
  let pairs = 0;
  for (let head = 0; head < heads; head++) pairs += pairsOfHeads[head % pairsOfHeads.length]!;
  return 4 * headWidth * pairs;
}

/** How far information has spread after some layers. */
export type ReceptiveField = {
  /** The number of input positions that each output position depends on, itself included. */
  readonly reached: Int32Array;
  readonly least: number;
  readonly mean: number;
  readonly most: number;
  /** That of the last position. */
  readonly last: number;
};

/**
 * The number of positions that reach each position through 1, 2, …, `layers` layers, exactly: `R_0(i) = {i}`,
 * `R_n(i) = R_{n−1}(i) ∪ ⋃ {R_{n−1}(j) : j ∈ S_i of layer n}`; the first term is the residual connection. For patterns that differ
 * by head, a key counts if any head sees it.
 *
 * @param patternOf the pattern of each layer; layer 0 is next to the input
 * @cost   sets as bits: n²/8 bytes three times, and for each run of keys about 2·log₂ n unions of n bits
 */
export function receptiveFields(
  patternOf: (layer: number) => Pattern,
  { length, layers }: { readonly length: number; readonly layers: number },
): ReceptiveField[] {
  let sets = BitSets.ofThemselves(length);
  const fields: ReceptiveField[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const before = fields.at(-1);
    const settled =
      fields.length > 1 && sameSizes(before!, fields.at(-2)!) && patternOf(layer) === patternOf(layer - 1);
    // A field that covers everything, or has stopped growing under an unchanged pattern, stays as it is.
    if (before !== undefined && (before.least === length || settled)) fields.push(before);
    else {
      sets = sets.spread(patternOf(layer));
      fields.push(summary(sets.sizes()));
    }
  }
  return fields;
}

function sameSizes(a: ReceptiveField, b: ReceptiveField): boolean {
  return a.reached.every((size, i) => size === b.reached[i]);
}

function summary(reached: Int32Array): ReceptiveField {
  const sum = reached.reduce((a, b) => a + b, 0);
  return {
    reached,
    least: reached.reduce((a, b) => Math.min(a, b), reached[0] ?? 0),
    most: reached.reduce((a, b) => Math.max(a, b), 0),
    mean: reached.length === 0 ? 0 : sum / reached.length,
    last: reached.at(-1) ?? 0,
  };
}

/** One set of positions per position, as bits, with the unions of neighbouring sets in a binary tree above them. */
class BitSets {
  readonly #length: number;
  readonly #words: number;
  /** Node 1 is the root, node n has children 2n and 2n + 1, and position i is node length + i; works for any length. */
  readonly #tree: Uint32Array;
  /** The range of words of each node that may be non-zero. */
  readonly #from: Int32Array;
  readonly #to: Int32Array;

  private constructor(length: number) {
    this.#length = length;
    this.#words = Math.ceil(length / 32);
    this.#tree = new Uint32Array(2 * length * this.#words);
    this.#from = new Int32Array(2 * length).fill(this.#words);
    this.#to = new Int32Array(2 * length);
  }

  static ofThemselves(length: number): BitSets {
    const sets = new BitSets(length);
    for (let i = 0; i < length; i++) {
      const word = i >> 5;
      sets.#tree[(length + i) * sets.#words + word] = 1 << (i & 31);
      sets.#from[length + i] = word;
      sets.#to[length + i] = word + 1;
    }
    return sets;
  }

  /** The sets after one more layer. */
  spread(pattern: Pattern): BitSets {
    const length = this.#length;
    for (let node = length - 1; node > 0; node--) {
      this.#takeIn(node, this, 2 * node);
      this.#takeIn(node, this, 2 * node + 1);
    }
    const next = new BitSets(length);
    for (let query = 0; query < length; query++) {
      const into = length + query;
      next.#takeIn(into, this, into);
      const runs = pattern.keys(query, length);
      for (let i = 0; i < runs.length; i += 2) {
        // Walks up from both ends and takes the nodes that lie inside the range.
        let [low, high] = [runs[i]! + length, Math.min(runs[i + 1]!, length) + length];
        for (; low < high; low >>= 1, high >>= 1) {
          if (low & 1) next.#takeIn(into, this, low++);
          if (high & 1) next.#takeIn(into, this, --high);
        }
      }
    }
    return next;
  }

  sizes(): Int32Array {
    return Int32Array.from({ length: this.#length }, (_, i) => {
      const start = (this.#length + i) * this.#words;
      let size = 0;
      for (let at = start; at < start + this.#words; at++) size += bitsIn(this.#tree[at]!);
      return size;
    });
  }

  /** Adds the set of node `from` of `source` to node `into`. */
  #takeIn(into: number, source: BitSets, from: number): void {
    const words = this.#words;
    const [tree, other] = [this.#tree, source.#tree];
    const [first, last] = [source.#from[from]!, source.#to[from]!];
    const [to, start] = [into * words, from * words];
    for (let i = first; i < last; i++) tree[to + i]! |= other[start + i]!;
    if (first < this.#from[into]!) this.#from[into] = first;
    if (last > this.#to[into]!) this.#to[into] = last;
  }
}

function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
