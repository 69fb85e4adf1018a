import type { Draw } from "../draws.ts";
import type { Row } from "../row-forms.ts";

/** Where the tokens to copy stand among `room` places, in ascending order. */
export type CopyPlaces = (draw: Draw, count: number, room: number) => readonly number[];

/**
 * Tokens among blanks, then a question as long as it takes to write them down: only its last `count` positions are scored, and there the
 * target is the next of the tokens, which never becomes an input. Tokens are 0 … V − 3, the blank is V − 2, the mark V − 1.
 *
 * @throws RangeError when the tokens and the question do not fit
 */
export function copyingRow(
  task: string,
  draw: Draw,
  options: {
    readonly vocabulary: number;
    readonly count: number;
    readonly length: number;
    readonly places: CopyPlaces;
    /** What stands after the tokens. */
    readonly question: readonly number[];
  },
): Row {
  const { vocabulary, count, length, places, question } = options;
  const room = length - question.length;
  if (room < count) {
    throw new RangeError(
      `${task}: ${count} tokens and their copies need a length of at least ${count + question.length}, got ${length}`,
    );
  }
  const tokens = Array.from({ length: count }, () => draw(vocabulary - 2));
  const inputs = [...new Array<number>(room).fill(vocabulary - 2), ...question];
  places(draw, count, room).forEach((place, index) => {
    inputs[place] = tokens[index]!;
  });
  const unscored = new Array<number>(length - count).fill(0);
  return { inputs, targets: [...unscored, ...tokens], weights: [...unscored, ...tokens.map(() => 1)] };
}

/** Tokens as numbers, `.` for the blank and `?` for the mark. */
export function copyingSymbol(vocabulary: number): (token: number) => string {
  return (token) => {
    if (token === vocabulary - 2) return ".";
    return token === vocabulary - 1 ? "?" : String(token);
  };
}

/** @throws RangeError when there are no tokens besides blank and mark, or none to copy */
export function requireCopying(task: string, { vocabulary, tokens }: { vocabulary: number; tokens: number }): void {
  if (!(Number.isInteger(vocabulary) && vocabulary >= 4)) {
    throw new RangeError(`${task}: vocabulary must be an integer ≥ 4, got ${vocabulary}`);
  }
  if (!(Number.isInteger(tokens) && tokens >= 1)) {
    throw new RangeError(`${task}: tokens must be an integer ≥ 1, got ${tokens}`);
  }
}
