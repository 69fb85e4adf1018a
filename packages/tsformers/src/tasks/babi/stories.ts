import { FileError } from "../../io/file-error.ts";

/** A question with what was told before it, in words. */
export type Question = {
  /** Sentence by sentence, the earliest first. */
  readonly story: readonly (readonly string[])[];
  readonly question: readonly string[];
  /** As the file has it, such as `kitchen` or `n,w`. */
  readonly answer: string;
};

/**
 * The questions of a file of bAbI, story by story:
 *
 * ```
 * 1 Mary moved to the bathroom.
 * 2 Where is Mary? <tab> bathroom <tab> 1
 * ```
 *
 * A number 1 begins another story. Earlier questions of a story are no part of it. Words are in lower case, since some files write the
 * names of their stories in lower case in questions.
 *
 * @throws FileError naming the line that is no sentence and no question
 */
export function readStories(text: string, path: string): Question[][] {
  const stories: Question[][] = [];
  let told: string[][] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "") continue;
    const [, number, rest] = line.match(/^(\d+) (.*)$/) ?? [];
    if (number === undefined || (number !== "1" && stories.length === 0))
      throw new FileError(path, `line ${index + 1}: expected a number and a sentence, the first with number 1`);
    if (number === "1") {
      stories.push([]);
      told = [];
    }
    const [sentence = "", answer] = rest!.split("\t");
    const words = wordsOf(sentence);
    if (words.length === 0) throw new FileError(path, `line ${index + 1}: expected words`);
    if (answer === undefined) told.push(words);
    else {
      const given = answer.trim().toLowerCase();
      if (given === "") throw new FileError(path, `line ${index + 1}: expected an answer behind the question`);
      stories.at(-1)!.push({ story: [...told], question: words, answer: given });
    }
  }
  return stories.filter((questions) => questions.length > 0);
}

/** Words and marks of a sentence, each on its own. */
function wordsOf(sentence: string): string[] {
  return sentence.toLowerCase().match(/[\p{L}\p{N}'-]+|[^\s\p{L}\p{N}]/gu) ?? [];
}
