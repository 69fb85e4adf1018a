/** Marks that are tokens of their own: all of ASCII but `'`, `,`, `-` and `.`, which depend on their neighbours. */
const marks = /[!-&(-+/:-@[-`{-~]/gu;

const entities: readonly (readonly [name: string, text: string])[] = [
  ["&quot;", '"'],
  ["&amp;", "&"],
  ["&lt;", "<"],
  ["&gt;", ">"],
];

/**
 * The words and marks of a sentence, as BLEU counts them: the tokenisation `13a` of WMT. Periods and commas stay within numbers (`1,000.5`),
 * hyphens within words (`well-known`); every other mark of ASCII is a token, marks of other scripts are not.
 *
 * @source Post 2018, "A Call for Clarity in Reporting BLEU Scores", §4 (sacreBLEU; it repeats NIST's mteval-v13a), arXiv:1804.08771
 */
export function tokenize13a(sentence: string): string[] {
  let text = sentence.trimEnd().replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
  for (const [name, mark] of entities) text = text.replaceAll(name, mark);
  return ` ${text} `
    .replace(marks, " $& ")
    .replace(/([^0-9])([.,])/gu, "$1 $2 ")
    .replace(/([.,])([^0-9])/gu, " $1 $2")
    .replace(/([0-9])-/gu, "$1 - ")
    .split(/\s+/u)
    .filter((token) => token !== "");
}
