// What the library's browser-safe entry needs of files, imported as `#files`: package.json gives browsers no-files.ts instead, so
// that no bundler of a page meets `node:`.

export { readNeighbourTable } from "../retrieval/neighbour-table.ts";
export { readTrajectories } from "../rl/off-line/read-trajectories.ts";
export { readDocumentPairs } from "../tasks/arena/read-document-pairs.ts";
export { readDocuments } from "../tasks/arena/read-documents.ts";
export { readImages } from "../tasks/arena/read-images.ts";
export { readCharacters } from "../tasks/sets/read-characters.ts";
export { readTokenizerAt } from "../tasks/text/read-tokenizer.ts";
export { textDataTask } from "../tasks/text/text-data.ts";
export { openRunDirectory, restore } from "../train/run-directory.ts";
export { readDataTexts } from "./data-texts.ts";
