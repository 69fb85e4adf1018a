import { byteAlphabet, byteTokens, wordsOf } from "./byte-level.ts";
import type { HuggingFaceTokenizerConfig } from "./hugging-face.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Two neighbouring tokens that become one. */
export type Merge = readonly [left: number, right: number];

/** How often words occur. */
export type WordCounts = Map<string, number>;

/** Adds the words of a text to their counts. */
export function countWords(counts: WordCounts, text: string): void {
  for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
}

/**
 * Learns byte-level byte pair encoding: begins with the 256 bytes and again and again joins the two neighbouring tokens that are most
 * frequent, never across words. Of equally frequent pairs the one with the lower tokens is joined, the left one compared first.
 * Fewer merges are learned where no pair occurs twice.
 *
 * @returns merges in their order; the i-th makes token 256 + i
 * @cost   each merge visits only the words that hold the pair
 * @source Sennrich, Haddow & Birch 2016, "Neural Machine Translation of Rare Words with Subword Units", §3.2, arXiv:1508.07909
 * @source Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2), §2.2: bytes instead of characters
 */
export function learnMerges(counts: ReadonlyMap<string, number>, vocabularySize: number): Merge[] {
  const words = [...counts].map(([word, count]): Word => ({ tokens: Int32Array.from(byteTokens(word)), count }));
  const pairs = countPairs(words);
  const heap = pairHeap();
  for (const [key, { count }] of pairs) heap.push({ key, count });
  const merges: Merge[] = [];
  while (merges.length < vocabularySize - byteAlphabet.length) {
    const top = heap.pop();
    if (top === undefined || top.count < 2) break;
    const pair = pairs.get(top.key)!;
    if (pair.count !== top.count) {
      // Merges since have taken some of its places.
      heap.push({ key: top.key, count: pair.count });
      continue;
    }
    const merge: Merge = [Math.floor(top.key / radix), top.key % radix];
    const made = byteAlphabet.length + merges.length;
    merges.push(merge);
    const grown = new Set<number>();
    for (const index of pair.words) {
      joinIn(words[index]!, merge, made, (key, change) => {
        const found = pairs.get(key) ?? { count: 0, words: [] };
        pairs.set(key, found);
        found.count += change;
        if (change < 0) return;
        grown.add(key);
        if (found.words.at(-1) !== index) found.words.push(index);
      });
    }
    pairs.delete(top.key);
    for (const key of grown) {
      const count = pairs.get(key)?.count ?? 0;
      if (count > 0) heap.push({ key, count });
    }
  }
  return merges;
}

type Word = { tokens: Int32Array; readonly count: number };
/** How often a pair occurs, and in which words it does or did. */
type Pair = { count: number; readonly words: number[] };
type Candidate = { readonly key: number; readonly count: number };

/** Pairs as numbers, in the same order. A vocabulary is smaller than this. */
const radix = 2 ** 21;

function countPairs(words: readonly Word[]): Map<number, Pair> {
  const pairs = new Map<number, Pair>();
  words.forEach(({ tokens, count }, index) => {
    for (let i = 1; i < tokens.length; i++) {
      const key = tokens[i - 1]! * radix + tokens[i]!;
      const pair = pairs.get(key) ?? { count: 0, words: [] };
      pairs.set(key, pair);
      pair.count += count;
      if (pair.words.at(-1) !== index) pair.words.push(index);
    }
  });
  return pairs;
}

/** Joins a pair in a word, from left to right, and tells how the counts of the pairs around change. */
function joinIn(word: Word, [left, right]: Merge, made: number, change: (key: number, by: number) => void): void {
  const { tokens, count } = word;
  let kept = 0;
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] !== left || tokens[i + 1] !== right) {
      tokens[kept++] = tokens[i]!;
      continue;
    }
    if (kept > 0) {
      change(tokens[kept - 1]! * radix + left, -count);
      change(tokens[kept - 1]! * radix + made, count);
    }
    if (i + 2 < tokens.length) {
      change(right * radix + tokens[i + 2]!, -count);
      change(made * radix + tokens[i + 2]!, count);
    }
    tokens[kept++] = made;
    i++;
  }
  word.tokens = tokens.subarray(0, kept);
}

/** A heap of pairs: the most frequent first, then the lowest. */
function pairHeap(): { push(candidate: Candidate): void; pop(): Candidate | undefined } {
  const items: Candidate[] = [];
  const isBefore = (a: Candidate, b: Candidate): boolean => a.count > b.count || (a.count === b.count && a.key < b.key);
  return {
    push: (candidate) => {
      let place = items.length;
      while (place > 0) {
        const above = (place - 1) >> 1;
        if (!isBefore(candidate, items[above]!)) break;
        items[place] = items[above]!;
        place = above;
      }
      items[place] = candidate;
    },
    pop: () => {
      const first = items[0];
      const last = items.pop();
      if (last === undefined || items.length === 0) return first;
      let place = 0;
      for (let below = 1; below < items.length; below = 2 * place + 1) {
        if (below + 1 < items.length && isBefore(items[below + 1]!, items[below]!)) below++;
        if (!isBefore(items[below]!, last)) break;
        items[place] = items[below]!;
        place = below;
      }
      items[place] = last;
      return first;
    },
  };
}

/**
 * The tokenizer of merges, as the `tokenizer.json` that Hugging Face's libraries read: bytes are tokens 0 … 255, nothing is unknown,
 * and no token stands for anything but text.
 */
export function bpeConfig(merges: readonly Merge[]): HuggingFaceTokenizerConfig {
  const names = [...byteAlphabet];
  for (const [left, right] of merges) names.push(names[left]! + names[right]!);
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    kind: "hugging-face",
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(names.map((name, token) => [name, token])),
        merges: merges.map(([left, right]) => [names[left]!, names[right]!]),
      },
    },
    config: {},
  };
}

/** The tokenizer of a text: {@link learnMerges} of its words. */
export async function trainBpe(text: string, options: { readonly vocabularySize: number }): Promise<Tokenizer> {
  const counts: WordCounts = new Map();
  countWords(counts, text);
  return bpeTokenizer(counts, options.vocabularySize);
}

/** The library for Hugging Face tokenizers is loaded on demand. */
export async function bpeTokenizer(counts: WordCounts, vocabularySize: number): Promise<Tokenizer> {
  const { huggingFaceTokenizer } = await import("./hugging-face.ts");
  return huggingFaceTokenizer(bpeConfig(learnMerges(counts, vocabularySize)));
}
