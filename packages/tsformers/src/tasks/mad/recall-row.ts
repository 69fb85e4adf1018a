import { chosen, type Draw, happens } from "../draws.ts";
import { causalRow, type Row } from "../row-forms.ts";
import type { Purpose } from "./mad-task.ts";

/** What the tokens of a recall task stand for: keys from 0, then values, then noise. */
export type RecallVocabulary = { readonly keys: number; readonly values: number; readonly noiseTokens: number };

/**
 * Half of what is no noise are keys, the rest values.
 *
 * @throws RangeError when there is no key or no value
 */
export function recallVocabulary(task: string, vocabulary: number, noiseTokens = 0): RecallVocabulary {
  const symbols = vocabulary - noiseTokens;
  if (symbols < 2) {
    throw new RangeError(
      `${task}: a key and a value need a vocabulary of at least ${noiseTokens + 2} with ${noiseTokens} noise tokens, got ${vocabulary}`,
    );
  }
  const keys = Math.floor(symbols / 2);
  return { keys, values: symbols - keys, noiseTokens };
}

/** `k3`, `v0`, `n12`; what is behind is a mark. */
export function recallSymbol({ keys, values, noiseTokens }: RecallVocabulary, mark = "."): (token: number) => string {
  return (token) => {
    if (token < keys) return `k${token}`;
    if (token < keys + values) return `v${token - keys}`;
    return token < keys + values + noiseTokens ? `n${token - keys - values}` : mark;
  };
}

/**
 * A row of ⌊L / 2⌋ pairs: random keys, each with a value that it keeps through the row, or two noise tokens with probability `noise`. The
 * last pair is one that came before. Scored in evaluation: the values of keys that came before.
 */
export function recallRow(
  task: string,
  draw: Draw,
  options: {
    readonly vocabulary: RecallVocabulary;
    readonly noise?: number;
    readonly length: number;
    readonly purpose: Purpose;
  },
): Row {
  const { vocabulary, noise = 0, length, purpose } = options;
  const { keys, values, noiseTokens } = vocabulary;
  const count = Math.floor(length / 2);
  if (count < 2) throw new RangeError(`${task}: a pair and a question need a length of at least 4, got ${length}`);
  const valueAt = new Map<number, number>();
  const tokens: number[] = [];
  const known = new Set<number>();
  const addPair = (key: number): void => {
    if (valueAt.has(key)) known.add(tokens.length + 1);
    else valueAt.set(key, keys + draw(values));
    tokens.push(key, valueAt.get(key)!);
  };
  const noNoise = draw(count - 1);
  for (let index = 0; index < count - 1; index++) {
    if (index !== noNoise && happens(draw, noise)) {
      tokens.push(keys + values + draw(noiseTokens), keys + values + draw(noiseTokens));
    } else addPair(draw(keys));
  }
  addPair(chosen(draw, [...valueAt.keys()]));
  return causalRow(tokens, (index) => purpose === "train" || known.has(index));
}
