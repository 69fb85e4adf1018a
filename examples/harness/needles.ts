// Long sources of words in which one entry stands somewhere.
import { type RandomKey, uniform } from "@tsformers/engine";

export const entries = 32;
const words = 16;

// Tokens: 0 separator, the entries, the words.
const word = (n: number) => 1 + entries + n;

export const vocabularySize: number = word(words);

export function needleIn(random: RandomKey, length: number): { readonly source: number[]; readonly entry: number } {
  const draws = uniform(random, [length + 2]).toNumbers();
  const draw = (below: number) => Math.floor(draws.pop()! * below);
  const source = Array.from({ length }, () => word(draw(words)));
  const entry = 1 + draw(entries);
  source[draw(length)] = entry;
  return { source, entry };
}
