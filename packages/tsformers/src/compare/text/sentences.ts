/** Pieces of English sentences. */

/** `a`, `a and b`, `a, b and c` */
export function listText(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** A list of at most so many items, and how many more there are: `a, b and 4 others`. */
export function shortListText(items: readonly string[], most = 4): string {
  return items.length <= most
    ? listText(items)
    : `${items.slice(0, most - 1).join(", ")} and ${items.length - most + 1} others`;
}

/** `4,096` */
export function lengthText(length: number): string {
  return length.toLocaleString("en-US");
}

/** A small number in words, a larger one in digits. */
export function numberText(number: number): string {
  const words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
  return words[number] ?? lengthText(number);
}

/** `1 run`, `3 runs` */
export function counted(count: number, noun: string): string {
  return `${lengthText(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A ratio in two digits: `3.9`, `0.42`, `12`. */
export function ratioText(ratio: number): string {
  if (!Number.isFinite(ratio)) return "–";
  return ratio >= 99.5 ? lengthText(Math.round(ratio)) : String(Number(ratio.toPrecision(2)));
}

/** Words as they stand at the beginning of a sentence. Not for names, which keep their spelling. */
export function sentenceStart(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** `35 %` of a share of 0.35. */
export function percentText(share: number): string {
  return `${Math.round(100 * share)} %`;
}
