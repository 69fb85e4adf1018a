/** A part of a text that is one token: a word, or a mark of punctuation before or behind one. */
export type Piece = {
  readonly text: string;
  /** Where it begins in the text, in UTF-16 units. */
  readonly at: number;
  /** Its word in normal form; empty for punctuation and articles. */
  readonly word: string;
};

const punctuation = "!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~";
const marks = new RegExp(`[${punctuation}]`, "g");
const parts = new RegExp(`^([${punctuation}]*)(.*?)([${punctuation}]*)$`, "s");
const articles: ReadonlySet<string> = new Set(["a", "an", "the"]);

/**
 * A text as words and the punctuation around them. What stands between white space has one word at most, so that the words of pieces are those that
 * SQuAD compares answers by.
 */
export function piecesOf(text: string): Piece[] {
  return [...text.matchAll(/\S+/g)].flatMap(({ 0: chunk, index }) => {
    const [, before = "", core = "", after = ""] = parts.exec(chunk) ?? [];
    const single = (text: string, at: number): Piece[] =>
      Array.from(text, (mark, i) => ({ text: mark, at: at + i, word: "" }));
    const word = core === "" ? [] : [{ text: core, at: index + before.length, word: normalWord(core) }];
    return [...single(before, index), ...word, ...single(after, index + before.length + core.length)];
  });
}

/** The words of an answer in normal form. */
export function normalWords(text: string): string[] {
  return piecesOf(text).flatMap(({ word }) => (word === "" ? [] : [word]));
}

/**
 * In lower case, without punctuation; nothing of an article.
 *
 * @source Rajpurkar et al. 2016, "SQuAD", arXiv:1606.05250, and its published evaluation
 */
function normalWord(core: string): string {
  const word = core.toLowerCase().replace(marks, "");
  return articles.has(word) ? "" : word;
}
