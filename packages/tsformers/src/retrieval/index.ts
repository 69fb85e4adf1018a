// Language models that look up what followed similar contexts. Runs in Node only.

export { type ApproximateSearchOptions, approximateSearch, recallOf } from "./approximate-search.ts";
export { type BuildOptions, buildDatastore } from "./build-datastore.ts";
export { type Datastore, openDatastore } from "./datastore.ts";
export type { DatastoreRecord } from "./datastore-record.ts";
export { fingerprintOf } from "./fingerprint.ts";
export { mixingDecoder } from "./mixing-decoder.ts";
export {
  logOrAbsent,
  mixedLogProbabilities,
  type NeighbourTensors,
  neighbourLogProbabilities,
  neighbourProbabilities,
} from "./mixture.ts";
export {
  findNeighbours,
  type NeighbourOptions,
  readNeighbourTable,
  writeNeighbourTable,
} from "./neighbour-table.ts";
export {
  type MixtureChoice,
  mixedLoss,
  requireOwnStore,
  type ScoredText,
  type ScoreOptions,
  scoreText,
  tuneMixture,
} from "./score.ts";
export { type ExactSearchOptions, exactSearch, type NeighbourSearch, type Neighbours } from "./search.ts";
export type { TextReading } from "./text-batches.ts";
export type { ReadOptions } from "./text-reader.ts";
export { type DatastoreWriter, writeDatastore } from "./write-datastore.ts";
