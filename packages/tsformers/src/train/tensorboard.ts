import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { crc32c } from "../io/crc32c.ts";
import { fileError } from "../io/file-error.ts";
import { makeFolder } from "../io/make-folder.ts";

/** Writes scalars that TensorBoard can read while the run continues. */
export type TensorBoardLog = {
  readonly path: string;
  /** Adds a point to the curve `tag`; tags with the same prefix before "/" share a section, as in `train/loss`. */
  scalar(tag: string, value: number, step: number): void;
  close(): void;
};

/**
 * Creates a TensorBoard event file, `events.out.tfevents.<seconds>.<host>`, in a run's directory.
 *
 * Every call makes a new file, as TensorBoard expects of a restarted run. With `resumeAt`, the file begins by telling
 * TensorBoard to drop the points after that step, which are about to be made again.
 *
 * @param options.resumeAt the step of the checkpoint that the run resumes from
 * @param options.now milliseconds since 1970, written with every point. Default: the clock
 */
export function openTensorBoardLog(
  directory: string,
  options: { resumeAt?: number; now?: () => number; host?: string } = {},
): TensorBoardLog {
  const { resumeAt, now = Date.now, host = hostname() } = options;
  const seconds = (): number => now() / 1000;
  makeFolder(directory);
  const { path, file } = createUnused(
    join(directory, `events.out.tfevents.${String(Math.floor(seconds())).padStart(10, "0")}.${host}`),
  );
  const append = (event: Uint8Array): void => {
    try {
      writeSync(file, frame(event));
    } catch (error) {
      throw fileError(path, error);
    }
  };

  append(eventMessage(seconds(), 0, text(3, "brain.Event:2")));
  if (resumeAt !== undefined) append(eventMessage(seconds(), resumeAt + 1, sessionStart()));

  return {
    path,
    scalar: (tag, value, step) => append(eventMessage(seconds(), step, scalarSummary(tag, value))),
    close: () => {
      fsyncSync(file);
      closeSync(file);
    },
  };
}

/** Runs that begin within the same second get different names: TensorBoard ignores what follows the host. */
function createUnused(path: string): { path: string; file: number } {
  for (let attempt = 0; ; attempt++) {
    const candidate = attempt === 0 ? path : `${path}.${attempt}`;
    try {
      return { path: candidate, file: openSync(candidate, "ax") };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

/**
 * One TFRecord: length (uint64), masked CRC of the length, the bytes, masked CRC of the bytes; all little-endian.
 * @source the TFRecord format, tensorflow.org/tutorials/load_data/tfrecord
 */
function frame(bytes: Uint8Array): Uint8Array {
  const record = new Uint8Array(bytes.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(bytes.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(bytes, 12);
  view.setUint32(12 + bytes.length, maskedCrc(bytes), true);
  return record;
}

/** `rotateRight(crc, 15) + 0xa282ead8`: taking the CRC of data that contains unmasked CRCs would weaken both. */
function maskedCrc(bytes: Uint8Array): number {
  const sum = crc32c(bytes);
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}

/** `Event { double wall_time = 1; int64 step = 2; … }`, of which `what` is the one remaining field. */
function eventMessage(seconds: number, step: number, what: Uint8Array): Uint8Array {
  return concatenate(fixed64(1, seconds), varint((2 << 3) | 0), varint(step), what);
}

/** `Event.summary = 5`: `Summary { repeated Value value = 1 }`, `Value { string tag = 1; float simple_value = 2 }`. */
function scalarSummary(tag: string, value: number): Uint8Array {
  return nested(5, nested(1, concatenate(text(1, tag), fixed32(2, value))));
}

/** `Event.session_log = 7`: `SessionLog { status = 1 }` with `START = 1`, after which readers drop points from this step on. */
function sessionStart(): Uint8Array {
  return nested(7, concatenate(varint((1 << 3) | 0), varint(1)));
}

function text(field: number, value: string): Uint8Array {
  return nested(field, new TextEncoder().encode(value));
}

function nested(field: number, bytes: Uint8Array): Uint8Array {
  return concatenate(varint((field << 3) | 2), varint(bytes.length), bytes);
}

function fixed64(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return concatenate(varint((field << 3) | 1), bytes);
}

function fixed32(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concatenate(varint((field << 3) | 5), bytes);
}

/** Base-128, least significant group first; uses division, since shifts would truncate steps to 32 bits. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Uint8Array.from([...bytes, rest]);
}

function concatenate(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
