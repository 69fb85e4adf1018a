import { countSpacedWords } from "../../tokenizers/word.ts";
import type { TextSize } from "./tokenized-text.ts";

export const noSize: TextSize = { characters: 0, bytes: 0, words: 0 };

/** @param before what stands before the text: a word that goes on is not counted again. Default: nothing */
export function sizeOf(text: string, before = ""): TextSize {
  const goesOn = /\S$/.test(before) && /^\S/.test(text);
  return {
    characters: countCharacters(text),
    bytes: new TextEncoder().encode(text).length,
    words: countSpacedWords(text) - (goesOn ? 1 : 0),
  };
}

export function addSizes(a: TextSize, b: TextSize): TextSize {
  return { characters: a.characters + b.characters, bytes: a.bytes + b.bytes, words: a.words + b.words };
}

function countCharacters(text: string): number {
  let count = text.length;
  for (let i = 1; i < text.length; i++) {
    const isPair = (text.charCodeAt(i) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800;
    if (isPair) count--;
  }
  return count;
}
