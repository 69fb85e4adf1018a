import type { Tokenizer } from "../../tokenizers/index.ts";

/** How many tokens are compared to find the place of a document, and how far from the expected place it is looked for. */
const [compared, reach] = [16, 16];

/**
 * The tokens of a text, and those at which its documents begin.
 *
 * A tokenizer that joins characters may read a whole text otherwise than its documents one by one, such as two line feeds where they meet
 * as one token. The text is read as a whole; a document begins where the tokens that it has on its own are found again. A token with
 * characters of two documents may count as of either.
 *
 * @param starts where documents begin in the text, ascending
 */
export function documentTokens(
  tokenizer: Tokenizer,
  text: string,
  starts: readonly number[],
): { tokens: Int32Array; documents: readonly number[] } {
  const tokens = tokenizer.encode(text);
  const cuts = starts.filter((start) => start > 0);
  if (cuts.length === 0) return { tokens, documents: starts };
  const alone = [0, ...cuts].map((cut, i) => tokenizer.encode(text.slice(cut, cuts[i])));
  const apart = joined(alone);
  let [place, from] = [0, 0];
  const places = alone.slice(0, -1).map((before) => {
    from += before.length;
    place = foundAgain(tokens, place + before.length, apart, from);
    return place;
  });
  return { tokens, documents: starts[0] === 0 ? [0, ...places] : places };
}

/** The place nearest to the expected one where most of the tokens from `from` on are found again. */
function foundAgain(tokens: Int32Array, expected: number, apart: Int32Array, from: number): number {
  let [best, most] = [Math.min(expected, tokens.length), equalTokens(tokens, expected, apart, from)];
  for (let distance = 1; distance <= reach && most < compared; distance++) {
    for (const place of [expected - distance, expected + distance]) {
      const count = place < 0 ? 0 : equalTokens(tokens, place, apart, from);
      if (count > most) [best, most] = [place, count];
    }
  }
  return best;
}

/** How many tokens are equal in two arrays; the first one is left out, since some tokenizers begin every text with a space. */
function equalTokens(tokens: Int32Array, place: number, apart: Int32Array, from: number): number {
  let count = 0;
  for (let i = 1; count < compared && place + i < tokens.length && from + i < apart.length; i++, count++) {
    if (tokens[place + i] !== apart[from + i]) break;
  }
  return count;
}

function joined(arrays: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  for (const array of arrays) {
    whole.set(array, place);
    place += array.length;
  }
  return whole;
}

/** Adds the documents of some tokens that follow `before` others. A document without tokens is none. */
export function addDocuments(documents: number[], places: readonly number[], before: number): void {
  for (const place of places) if (before + place > documents.at(-1)!) documents.push(before + place);
}
