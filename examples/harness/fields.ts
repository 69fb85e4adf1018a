// Long sources in which the fields of a form stand, to be written down in the order of the form.
import { type RandomKey, uniform } from "@tsformers/engine";

const [fields, values, words] = [1, 32, 16];

// Tokens: 0 padding and separator, the values of each field, words.
const entry = (field: number, value: number) => 1 + field * values + value;
const word = (n: number) => entry(fields, n);

export const vocabularySize: number = word(words);

export type Form = {
  /** Words, among which a value of each field stands somewhere. */
  readonly source: readonly number[];
  /** These values in the order of the fields. */
  readonly filled: readonly number[];
};

export function formIn(random: RandomKey, length: number): Form {
  const draws = uniform(random, [length + 2 * fields]).toNumbers();
  const draw = (below: number) => Math.floor(draws.pop()! * below);
  const source = Array.from({ length }, () => word(draw(words)));
  const free = Array.from({ length }, (_, t) => t);
  const filled = Array.from({ length: fields }, (_, field) => entry(field, draw(values)));
  for (const token of filled) source[free.splice(draw(free.length), 1)[0]!] = token;
  return { source, filled };
}
