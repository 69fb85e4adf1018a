import { crc32c } from "../../io/crc32c.ts";
import { dataFiles } from "../../io/data-files.ts";
import { FileError } from "../../io/file-error.ts";
import { decodePng } from "../../io/read-png.ts";
import { noteOnStderr } from "../../io/read-text.ts";
import type { Note } from "../../io/text-files.ts";
import { convertedPixels } from "../arena/found-images.ts";
import type { Characters } from "./unique-characters.ts";

/**
 * Reads handwritten characters, dark on bright: a folder of PNG files for each character, as Omniglot has them, in a folder or a `.zip`, or in several `.zip`
 * files of a folder.
 *
 * @throws FileError when there are none, when one is damaged, and when they are not squares of one size
 */
export function readCharacters(path: string, { note = noteOnStderr }: { readonly note?: Note } = {}): Characters {
  const files = dataFiles(path, { note }).flatMap((file) =>
    /\.zip$/i.test(file.name) ? dataFiles(file.path, { note }) : [file],
  );
  const pictures = files.filter(({ name }) => /\.png$/i.test(name));
  if (pictures.length === 0)
    throw new FileError(path, "has no characters: expected a folder of PNG files for each, as in Omniglot's zips");
  const byCharacter = new Map<string, Uint8Array[]>();
  let side: number | undefined;
  let sum = 0;
  for (const file of pictures) {
    const { values, rows, columns, channels } = decodePng(file.read(), file.path);
    side ??= rows;
    if (rows !== side || columns !== side)
      throw new FileError(file.path, `expected ${side} × ${side} pixels, as others have, got ${rows} × ${columns}`);
    const ink = convertedPixels(values, channels, 1).map((value) => 255 - value);
    const character = file.name.split("/").slice(0, -1).join("/");
    byCharacter.set(character, [...(byCharacter.get(character) ?? []), ink]);
    sum = crc32c(ink, sum);
  }
  const characters = [...byCharacter.values()];
  return {
    side: side!,
    characters,
    identity: `characters=${characters.length} pictures=${pictures.length} side=${side} crc32c=${sum.toString(16).padStart(8, "0")}`,
  };
}
