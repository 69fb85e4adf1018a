// Long sources in which facts stand, and questions about some of them.
import { type RandomKey, uniform } from "@tsformers/engine";

const [keys, values, words] = [32, 16, 16];

// Tokens: 0 padding and separator, keys, values, words.
const key = (n: number) => 1 + n;
const value = (n: number) => key(keys) + n;
const word = (n: number) => value(values) + n;

export const vocabularySize: number = word(words);

export type Facts = {
  /** Words, among which each fact stands as a key and its value. */
  readonly source: readonly number[];
  /** Some of the keys, in any order, each with its value. */
  readonly answers: readonly number[];
};

/** @param size.length tokens of the source, at least four for each fact */
export function factsIn(
  random: RandomKey,
  { length, facts, asked }: { readonly length: number; readonly facts: number; readonly asked: number },
): Facts {
  const draws = uniform(random, [2 * length + 4 * keys]).toNumbers();
  const draw = (below: number) => Math.floor(draws.pop()! * below);
  const chosen = <T>(from: readonly T[], count: number): T[] => {
    const left = [...from];
    return Array.from({ length: count }, () => left.splice(draw(left.length), 1)[0]!);
  };
  const range = (count: number) => Array.from({ length: count }, (_, i) => i);
  const source = range(length).map(() => word(draw(words)));
  const told = chosen(range(keys), facts).map((n) => [key(n), value(draw(values))] as const);
  chosen(range(length / 2), facts).forEach((place, i) => void source.splice(2 * place, 2, ...told[i]!));
  return { source, answers: chosen(told, asked).flat() };
}
