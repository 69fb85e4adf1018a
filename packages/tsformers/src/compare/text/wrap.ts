/**
 * Breaks a text at spaces into lines of at most `columns`. A word that is too long stays whole.
 *
 * @param further the width of all lines but the first, where these are indented. Default: the same
 */
export function wrapLines(text: string, columns: number, further: number = columns): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    const room = lines.length > 1 ? further : columns;
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
