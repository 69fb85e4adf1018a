import { convert, type NDArray, shapeText } from "@tsformers/engine";
import { FileError } from "../../io/file-error.ts";
import { readHdf5 } from "../../io/hdf5.ts";
import { readNpz } from "../../io/npz.ts";
import { readSafetensorsFile } from "../../io/safetensors-file.ts";
import { type EnvironmentShape, type Episode, type Trajectories, widthOf } from "./episode.ts";

/** Names of fields: D4RL's and Minari's, then those of the library `imitation`. */
const names = {
  observations: ["observations", "obs"],
  actions: ["actions", "acts"],
  rewards: ["rewards", "rews"],
} as const;

/** What is read of a file that holds more, such as D4RL's, which has next observations and states of the simulator. */
const known: ReadonlySet<string> = new Set([...Object.values(names).flat(), "terminals", "timeouts", "episode_len"]);

type Field = keyof typeof names;
type Arrays = ReadonlyMap<string, NDArray>;

/**
 * Reads the trajectories of a `.npz`, `.safetensors` or HDF5 file (`.hdf5`, `.h5`; needs the package h5wasm). Three layouts are known:
 *
 * - D4RL: `observations [N, F]`, `actions [N]` or `[N, A]`, `rewards [N]`, and `terminals`, `timeouts [N]`, one or both, which are not 0 at the last step of
 *   an episode. What follows the last end is an episode, too.
 * - With `episode_len`, the numbers of steps of the episodes, in place of both.
 * - Minari: `episode_0/observations`, `episode_0/actions`, `episode_0/rewards`, `episode_1/…`. Observations may have one more row, that of the end.
 *
 * @param environment what the trajectories must be of
 * @throws FileError naming the field that is missing, has another shape than expected, or holds something else than numbers of the environment
 */
export async function readTrajectories(path: string, environment: EnvironmentShape): Promise<Trajectories> {
  const arrays = await readArrays(path);
  const parts = partsOf(arrays);
  const episodes =
    parts.length > 0
      ? parts.map((part) => episodeOf(path, under(arrays, part), environment, `${part}/`))
      : cut(path, arrays, episodeOf(path, arrays, environment, ""), environment);
  const { features, actions, longest } = environment;
  const tooLong = episodes.findIndex(({ rewards }) => rewards.length > longest);
  if (tooLong >= 0)
    throw new FileError(
      path,
      `episode ${tooLong} has ${episodes[tooLong]!.rewards.length} steps, expected at most ${longest}`,
    );
  return { features, actions, longest, episodes };
}

async function readArrays(path: string): Promise<Arrays> {
  if (/\.npz$/i.test(path)) return readNpz(path);
  if (/\.safetensors$/i.test(path)) return readSafetensorsFile(path);
  if (/\.(hdf5|h5)$/i.test(path)) return readHdf5(path, (name) => known.has(name.replace(/^episode_\d+\//, "")));
  throw new FileError(path, "expected trajectories in a .npz, .safetensors or .hdf5 file");
}

/** `episode_0`, `episode_1`, … */
function partsOf(arrays: Arrays): string[] {
  const found = new Set([...arrays.keys()].flatMap((name) => /^(episode_\d+)\//.exec(name)?.[1] ?? []));
  return [...found].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

function under(arrays: Arrays, part: string): Arrays {
  return new Map(
    [...arrays].flatMap(([name, array]) => (name.startsWith(`${part}/`) ? [[name.slice(part.length + 1), array]] : [])),
  );
}

/** Fields of equally many steps, checked. */
function episodeOf(path: string, arrays: Arrays, { features, actions }: EnvironmentShape, prefix: string): Episode {
  const read = (field: Field): NDArray => {
    const name = names[field].find((known) => arrays.has(known));
    if (name === undefined) throw new FileError(path, `${prefix}${field} is missing (${contents(arrays)})`);
    const array = convert(arrays.get(name)!, "float32");
    const wrong = (array.data as Float32Array).findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0)
      throw new FileError(
        path,
        `${prefix}${name}: expected finite numbers, found ${array.data[wrong]} at element ${wrong}`,
      );
    return array;
  };
  const fail = (field: Field, expected: string, found: string) =>
    new FileError(path, `${prefix}${field}: expected ${expected}, found ${found}`);
  const rewards = read("rewards");
  const steps = rewards.shape[0] ?? 0;
  if (rewards.size !== steps || steps === 0)
    throw fail("rewards", "one number a step, [steps]", shapeText(rewards.shape));
  const width = widthOf(actions);
  const done = read("actions");
  if (done.shape[0] !== steps || done.size !== steps * width)
    throw fail("actions", width === 1 ? `[${steps}] or [${steps}, 1]` : `[${steps}, ${width}]`, shapeText(done.shape));
  const values = done.data as Float32Array;
  const isAllowed =
    actions.kind === "discrete"
      ? (value: number) => Number.isInteger(value) && value >= 0 && value < actions.count
      : (value: number) => value >= actions.low - 1e-4 && value <= actions.high + 1e-4;
  const other = values.find((value) => !isAllowed(value));
  const allowed =
    actions.kind === "discrete"
      ? `integers from 0 to ${actions.count - 1}`
      : `numbers from ${actions.low} to ${actions.high}`;
  if (other !== undefined) throw fail("actions", allowed, String(other));
  const seen = read("observations");
  const rows = prefix !== "" && seen.shape[0] === steps + 1 ? steps + 1 : steps;
  if (seen.shape.length !== 2 || seen.shape[0] !== rows || seen.shape[1] !== features)
    throw fail("observations", `[${steps}, ${features}]`, shapeText(seen.shape));
  return {
    observations: (seen.data as Float32Array).subarray(0, steps * features),
    actions: values,
    rewards: rewards.data as Float32Array,
  };
}

/** One long sequence as its episodes. */
function cut(path: string, arrays: Arrays, all: Episode, { features, actions }: EnvironmentShape): Episode[] {
  const steps = all.rewards.length;
  const width = widthOf(actions);
  const ends = endsOf(path, arrays, steps);
  return ends.map((end, i) => {
    const start = i === 0 ? 0 : ends[i - 1]!;
    return {
      observations: all.observations.subarray(start * features, end * features),
      actions: all.actions.subarray(start * width, end * width),
      rewards: all.rewards.subarray(start, end),
    };
  });
}

/** Behind the last step of each episode. */
function endsOf(path: string, arrays: Arrays, steps: number): number[] {
  const lengths = arrays.get("episode_len")?.toNumbers();
  if (lengths !== undefined) {
    let end = 0;
    const ends = lengths.map((length) => (end += length));
    if (end === steps && lengths.every((length) => Number.isInteger(length) && length >= 1)) return ends;
    throw new FileError(
      path,
      `episode_len: expected whole numbers that add up to the ${steps} steps, found a sum of ${end}`,
    );
  }
  const marks = (["terminals", "timeouts"] as const).flatMap((name) => {
    const array = arrays.get(name);
    if (array === undefined) return [];
    if (array.size !== steps)
      throw new FileError(path, `${name}: expected [${steps}], found ${shapeText(array.shape)}`);
    return [array.toNumbers()];
  });
  if (marks.length === 0)
    throw new FileError(path, `terminals is missing, and so are timeouts and episode_len (${contents(arrays)})`);
  const ends = Array.from({ length: steps }, (_, t) => t + 1).filter((end) =>
    marks.some((mark) => mark[end - 1] !== 0),
  );
  return ends.at(-1) === steps ? ends : [...ends, steps];
}

function contents(arrays: Arrays): string {
  return arrays.size === 0 ? "it holds no arrays of numbers" : `it has ${[...arrays.keys()].slice(0, 8).join(", ")}`;
}
