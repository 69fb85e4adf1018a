import { foldIn, integers, type RandomKey, randomKey } from "@tsformers/engine";
import type { Environment } from "../environment.ts";

export type KeyToDoorOptions = {
  /** Cells of a side of each room. Default: 4. */
  readonly size?: number;
  /** Steps in the room of the key, in the empty room and in the room of the door. Default: 8, 4 and 8. */
  readonly steps?: readonly [key: number, empty: number, door: number];
};

type Place = readonly [x: number, y: number];

/** Up, down, left, right. */
const moves: readonly Place[] = [
  [0, -1],
  [0, 1],
  [-1, 0],
  [1, 0],
];

/**
 * Three rooms one after the other: there is a key in the first, nothing in the second, a door in the third. Whoever reaches the door gets a reward of 1 if
 * they have walked over the key before, and the episode ends; without it nothing happens at the door. So the step that mattered lies a whole room before
 * the reward, and then no observation tells whether the key was taken.
 *
 * An action moves the agent by one cell (up, down, left, right) unless there is a wall; after so many steps it stands in the next room. Where agent, key
 * and door stand is drawn for each room. Observations are the room (one-hot, 3), the place of the agent and that of the key or the door, each coordinate
 * between −1 and 1, and whether there is one (1; else 0, and its place is 0, 0). A key that was taken is gone.
 *
 * @source Mesnard et al. 2021, "Counterfactual Credit Assignment in Model-Free Reinforcement Learning", arXiv:2011.09464; with random data by Chen et al.
 *   2021, "Decision Transformer", §5.4, arXiv:2106.01345
 * @differs rooms are smaller and seen whole, as coordinates instead of pictures; the empty room has no apples
 */
export function keyToDoor({ size = 4, steps: lasting = [8, 4, 8] }: KeyToDoorOptions = {}): Environment {
  if (!(Number.isSafeInteger(size) && size >= 2))
    throw new RangeError(`key-to-door: size must be an integer ≥ 2, got ${size}`);
  if (lasting.length !== 3 || !lasting.every((count) => Number.isSafeInteger(count) && count >= 1))
    throw new RangeError(`key-to-door: steps must be three integers ≥ 1, got ${JSON.stringify(lasting)}`);
  const name = `key-to-door ${size} ${lasting.join(" ")}`;
  const longest = lasting[0] + lasting[1] + lasting[2];
  const roomAt = (step: number): number => (step < lasting[0] ? 0 : step < lasting[0] + lasting[1] ? 1 : 2);
  let rooms: readonly Room[] = [];
  let [agent, steps, hasKey]: [Place, number, boolean] = [[0, 0], 0, false];
  const thing = (): Place | undefined => (hasKey && roomAt(steps) === 0 ? undefined : rooms[roomAt(steps)]!.thing);
  const observe = (): readonly number[] => {
    const [room, seen] = [roomAt(steps), thing()];
    const scaled = (place: Place): number[] => place.map((cell) => (2 * cell) / (size - 1) - 1);
    const parts = [scaled(agent), seen === undefined ? [0, 0] : scaled(seen), [seen === undefined ? 0 : 1]];
    return [...[0, 1, 2].map((each) => (each === room ? 1 : 0)), ...parts.flat()];
  };
  return {
    name,
    features: 8,
    actions: { kind: "discrete", count: moves.length },
    longest,
    reset: (seed) => {
      const key = randomKey(seed);
      rooms = [0, 1, 2].map((room) => drawRoom(foldIn(key, room), size, room !== 1));
      [agent, steps, hasKey] = [rooms[0]!.start, 0, false];
      return { observation: observe() };
    },
    step: (action) => {
      const [dx, dy] = moves[action as number]!;
      agent = [inRoom(agent[0] + dx, size), inRoom(agent[1] + dy, size)];
      const room = roomAt(steps);
      const isThere = isSame(agent, rooms[room]!.thing);
      if (room === 0 && isThere) hasKey = true;
      const terminated = room === 2 && isThere && hasKey;
      steps += 1;
      if (roomAt(steps) !== room) agent = rooms[roomAt(steps)]!.start;
      const truncated = !terminated && steps >= longest;
      return { observation: observe(), reward: terminated ? 1 : 0, terminated, truncated };
    },
  };
}

/** Where the agent enters a room, and where its key or door is. */
type Room = { readonly start: Place; readonly thing?: Place };

function drawRoom(key: RandomKey, size: number, hasThing: boolean): Room {
  const cells = size * size;
  const [first, distance] = [
    integers(foldIn(key, 0), [], { low: 0, high: cells }).item(),
    integers(foldIn(key, 1), [], { low: 1, high: cells }).item(),
  ];
  const placeOf = (cell: number): Place => [cell % size, Math.floor(cell / size)];
  return { start: placeOf(first), ...(hasThing && { thing: placeOf((first + distance) % cells) }) };
}

function inRoom(cell: number, size: number): number {
  return Math.max(0, Math.min(size - 1, cell));
}

function isSame([x, y]: Place, other: Place | undefined): boolean {
  return other !== undefined && x === other[0] && y === other[1];
}
