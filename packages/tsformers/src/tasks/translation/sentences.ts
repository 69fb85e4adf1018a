import { crc32c } from "../../io/crc32c.ts";
import { FileError } from "../../io/file-error.ts";
import { type Splits, shuffled } from "../splits.ts";

/** A sentence and its translation. */
export type SentencePair = readonly [source: string, target: string];

/**
 * The sentence pairs of a table: `source <tab> target`, and what else stands behind them, such as who translated.
 *
 * @throws FileError naming the line that has no target
 */
export function readSentences(text: string, path: string): SentencePair[] {
  return text.split(/\r?\n/).flatMap((line, index): SentencePair[] => {
    if (line.trim() === "") return [];
    const [source, target] = line.split("\t").map((part) => part.trim());
    if (!source || !target)
      throw new FileError(path, `line ${index + 1}: expected a sentence, a tab and its translation`);
    return [[source, target]];
  });
}

/**
 * 90 % of the pairs for training, 5 % each for validation and test. Pairs that have a sentence in common, of either language, are in the same
 * split, and so are pairs that are linked through others: nothing in the test was seen in training. Where a pair goes depends on the sentences
 * alone, not on their order.
 */
export function splitSentences(pairs: readonly SentencePair[]): Splits<readonly SentencePair[]> {
  const groups = linked(pairs);
  const splits: Record<keyof Splits<unknown>, SentencePair[]> = { train: [], valid: [], test: [] };
  for (const group of groups) {
    const name = group.map((pair) => pair.join("\t")).sort()[0]!;
    const place = crc32c(new TextEncoder().encode(name)) / 2 ** 32;
    splits[place < 0.9 ? "train" : place < 0.95 ? "valid" : "test"].push(...group);
  }
  return { train: splits.train, valid: shuffled(splits.valid), test: shuffled(splits.test) };
}

/** Pairs that have sentences in common, group by group. */
function linked(pairs: readonly SentencePair[]): SentencePair[][] {
  const parents = new Map<string, string>();
  const rootOf = (sentence: string): string => {
    let root = sentence;
    for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent;
    // Shortens the way for those that ask later.
    for (let at = sentence; at !== root; ) {
      const next = parents.get(at)!;
      parents.set(at, root);
      at = next;
    }
    return root;
  };
  const sourceName = (source: string): string => `s\t${source}`;
  for (const [source, target] of pairs) {
    const [a, b] = [rootOf(sourceName(source)), rootOf(`t\t${target}`)];
    if (a !== b) parents.set(a, b);
  }
  const groups = new Map<string, SentencePair[]>();
  for (const pair of pairs) {
    const root = rootOf(sourceName(pair[0]));
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [pair]);
    else group.push(pair);
  }
  return [...groups.values()];
}
