/**
 * Splits text into words, each with the space before it: `"It's 9  o'clock"` → `It` `'s` ` 9` ` ` ` o` `'` `clock`. Every
 * character belongs to one of them.
 *
 * @source Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2), §2.2, and the authors' encoder
 */
export function wordsOf(text: string): string[] {
  return text.match(words) ?? [];
}

const words = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/**
 * The character that stands for each byte in a vocabulary that is written as text: printable ones of Latin-1 for themselves, the other
 * bytes for U+0100, U+0101, … in their order.
 */
const characterOfByte: readonly string[] = byteCharacters();

function byteCharacters(): string[] {
  let others = 0x100;
  const isPrintable = (byte: number): boolean => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : others++));
}

/** The 256 characters that stand for bytes, in the order of their code points: tokens 0 … 255. */
export const byteAlphabet: readonly string[] = [...characterOfByte].sort();

const tokenOfByte = Uint8Array.from(characterOfByte, (character) => byteAlphabet.indexOf(character));

/** The tokens of a text's bytes, as {@link byteAlphabet} numbers them. */
export function byteTokens(text: string): Uint8Array {
  return new TextEncoder().encode(text).map((byte) => tokenOfByte[byte]!);
}
