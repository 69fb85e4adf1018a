import type { RandomNumbers } from "../draws.ts";

/** In pixels; pixel (column, row) covers the square from there to (column + 1, row + 1). */
export type Point = { readonly x: number; readonly y: number };

/** A dash of a path. A path grows from the first one's `tail` to the last one's `head`. */
export type Paddle = { readonly tail: Point; readonly head: Point };

export type PathfinderLayout = {
  readonly size: number;
  /** Dashes of each of the two long paths. */
  readonly contourLength: number;
  /** Half of the gap between dashes; one is drawn for each picture. */
  readonly margins: readonly number[];
  readonly padding: number;
  readonly paddleLength: number;
  readonly thickness: number;
  readonly markerRadius: number;
  /** Between the beginnings of the two long paths. */
  readonly seedDistance: number;
  /** A dash turns by at most 90° / continuity from the one before. */
  readonly continuity: number;
  /** Brightness of dashes; that of markers is 1. */
  readonly contrast: number;
  /** Dashes of all distractors together. */
  readonly distractorPaddles: number;
};

/** What a picture shows. */
export type PathfinderScene = {
  /** 1 where both markers are at the ends of one path. */
  readonly label: 0 | 1;
  /** Two long paths, then distractors. */
  readonly paths: readonly (readonly Paddle[])[];
  readonly markers: readonly [Point, Point];
  readonly margin: number;
};

/** How far apart dashes are at least, from middle to middle of their strokes, unless they follow each other in a path. */
export function clearanceOf({ thickness }: PathfinderLayout, margin: number): number {
  return 2 * margin + thickness;
}

/** Tries for a dash, after which its path is given up, and tries for a distractor, after which it is left out. */
const [paddleTries, distractorTries, placeTries] = [3, 5, 50];

/**
 * Two long dashed paths that begin near the middle, a marker at the beginning of one of them and another at the end of the same (label 1)
 * or of the other one (label 0), and shorter paths between them.
 *
 * Both long paths grow by a dash in turn; where one cannot go on, both are drawn anew.
 */
export function drawScene(random: RandomNumbers, layout: PathfinderLayout): PathfinderScene {
  const label = random.below(2) as 0 | 1;
  const margin = layout.margins[random.below(layout.margins.length)]!;
  const field = new Field(random, layout, margin);
  for (;;) {
    const targets = field.growTargets();
    if (targets === undefined) continue;
    const first = random.below(2);
    const markers = [targets[first]![0]!.tail, targets[label === 1 ? first : 1 - first]!.at(-1)!.head] as const;
    if (distance(...markers) < 2 * layout.markerRadius + 1) continue;
    return { label, paths: [...targets, ...field.growDistractors()], markers: [...markers], margin };
  }
}

/** A path that grows: where its next dash is set, and the direction of the last one. */
type Growing = { readonly paddles: Paddle[]; pivot: Point; direction: number };

/** The free and the taken places of a picture. */
class Field {
  private readonly random: RandomNumbers;
  private readonly layout: PathfinderLayout;
  private readonly margin: number;
  /** By how much a path may turn, one pixel apart on the circle of its next heads, and how likely each turn is. */
  private readonly turns: readonly number[];
  private readonly weights: readonly number[];
  private taken: Paddle[] = [];

  constructor(random: RandomNumbers, layout: PathfinderLayout, margin: number) {
    const { paddleLength, continuity } = layout;
    this.random = random;
    this.layout = layout;
    this.margin = margin;
    const reach = paddleLength + margin;
    const side = Math.floor((Math.PI / 2 / continuity) * reach);
    this.turns = Array.from({ length: 2 * side + 1 }, (_, i) => (i - side) / reach);
    this.weights = this.turns.map((turn) => Math.cos(continuity * turn) ** 2);
  }

  /** Two paths of full length; undefined where there was no room. */
  growTargets(): (readonly Paddle[])[] | undefined {
    const { size, seedDistance, contourLength } = this.layout;
    this.taken = [];
    const tail = { x: this.between(2 * seedDistance, size), y: this.between(2 * seedDistance, size) };
    const first = this.begin(tail);
    const second = first && this.begin(moved(tail, this.anyDirection(), seedDistance));
    if (first === undefined || second === undefined) return undefined;
    for (let count = 1; count < contourLength; count++) {
      if (!this.extend(first) || !this.extend(second)) return undefined;
    }
    return [first.paddles, second.paddles];
  }

  growDistractors(): (readonly Paddle[])[] {
    const { contourLength, distractorPaddles } = this.layout;
    const length = Math.floor(contourLength / 3);
    const count = Math.floor(distractorPaddles / length);
    return Array.from({ length: count }, () => this.growDistractor(length) ?? []).filter((path) => path.length > 0);
  }

  private growDistractor(length: number): readonly Paddle[] | undefined {
    const before = this.taken;
    for (let attempt = 0; attempt < distractorTries; attempt++) {
      this.taken = [...before];
      const path = this.beginAnywhere();
      if (path === undefined) break;
      let grown = 1;
      while (grown < length && this.extend(path)) grown++;
      if (grown === length) return path.paddles;
    }
    this.taken = before;
    return undefined;
  }

  private beginAnywhere(): Growing | undefined {
    const { size, padding } = this.layout;
    for (let attempt = 0; attempt < placeTries; attempt++) {
      const path = this.begin({ x: this.between(padding, size), y: this.between(padding, size) });
      if (path !== undefined) return path;
    }
    return undefined;
  }

  private begin(tail: Point): Growing | undefined {
    const direction = this.anyDirection();
    const paddle = { tail, head: moved(tail, direction, this.layout.paddleLength) };
    if (!this.isFree(paddle, undefined)) return undefined;
    this.taken.push(paddle);
    return { paddles: [paddle], pivot: moved(tail, direction, -this.margin), direction };
  }

  /** Sets one more dash to a path, if there is room. Its turn has a probability in proportion to cos²(continuity · turn). */
  private extend(path: Growing): boolean {
    const { paddleLength } = this.layout;
    const [margin, last, turns] = [this.margin, path.paddles.at(-1)!, this.turns];
    const pivot = moved(path.pivot, path.direction, paddleLength + 2 * margin);
    const weights = this.weights.slice(); // a head that is not free loses its weight
    for (let attempt = 0; attempt < paddleTries; ) {
      const choice = drawn(weights, this.random.next());
      if (choice < 0) return false;
      const direction = path.direction + turns[choice]!;
      const head = moved(pivot, direction, paddleLength + margin);
      if (!this.isFree({ tail: head, head }, last)) {
        weights[choice] = 0;
        continue;
      }
      attempt++;
      const paddle = { tail: moved(pivot, direction, margin), head };
      if (!this.isFree(paddle, last)) continue;
      this.taken.push(paddle);
      path.paddles.push(paddle);
      Object.assign(path, { pivot, direction });
      return true;
    }
    return false;
  }

  private isFree(paddle: Paddle, last: Paddle | undefined): boolean {
    const { size, padding, thickness } = this.layout;
    const border = padding + this.margin + thickness / 2;
    const isInside = ({ x, y }: Point): boolean => Math.min(x, y) >= border && Math.max(x, y) <= size - border;
    if (!isInside(paddle.tail) || !isInside(paddle.head)) return false;
    const clearance = clearanceOf(this.layout, this.margin);
    const far = 2 * this.layout.paddleLength + clearance;
    for (const other of this.taken) {
      if (Math.abs(other.tail.x - paddle.tail.x) > far || Math.abs(other.tail.y - paddle.tail.y) > far) continue;
      if (other !== last && paddleDistance(paddle, other) < clearance) return false;
    }
    return true;
  }

  private between(border: number, size: number): number {
    return border + this.random.next() * (size - 2 * border);
  }

  private anyDirection(): number {
    return (this.random.below(360) * Math.PI) / 180;
  }
}

/** An index, with a probability in proportion to its weight, by a number from 0 to 1; −1 where all weights are 0. */
function drawn(weights: readonly number[], share: number): number {
  let [left, last] = [share * weights.reduce((sum, weight) => sum + weight, 0), -1];
  for (let index = 0; index < weights.length; index++) {
    if (weights[index] === 0) continue;
    left -= weights[index]!;
    if (left < 0) return index;
    last = index;
  }
  return last;
}

function moved({ x, y }: Point, direction: number, by: number): Point {
  return { x: x + by * Math.cos(direction), y: y + by * Math.sin(direction) };
}

export function distance(a: Point, b: Point): number {
  return Math.sqrt((a.x - b.x) ** 2 + (a.y - b.y) ** 2);
}

/** From a point to the nearest one of a dash. */
export function distanceToPaddle({ x, y }: Point, { tail, head }: Paddle): number {
  const [dx, dy] = [head.x - tail.x, head.y - tail.y];
  const squared = dx * dx + dy * dy;
  const along = squared === 0 ? 0 : ((x - tail.x) * dx + (y - tail.y) * dy) / squared;
  const at = Math.min(Math.max(along, 0), 1);
  return Math.sqrt((x - tail.x - at * dx) ** 2 + (y - tail.y - at * dy) ** 2);
}

/** Between the nearest points of two dashes, 0 where they cross. */
export function paddleDistance(a: Paddle, b: Paddle): number {
  if (isLeft(a, b.tail) !== isLeft(a, b.head) && isLeft(b, a.tail) !== isLeft(b, a.head)) return 0;
  return Math.min(
    distanceToPaddle(a.tail, b),
    distanceToPaddle(a.head, b),
    distanceToPaddle(b.tail, a),
    distanceToPaddle(b.head, a),
  );
}

function isLeft({ tail, head }: Paddle, { x, y }: Point): boolean {
  return (head.x - tail.x) * (y - tail.y) > (head.y - tail.y) * (x - tail.x);
}
