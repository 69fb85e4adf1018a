// The index of runs and measured costs in a folder. Runs in Node only.

export type { Condition, Filter, Scalar } from "./filter.ts";
export {
  type Columns,
  type ColumnType,
  type CostRecord,
  costColumns,
  type Identity,
  type RunRecord,
  runColumns,
} from "./record.ts";
export { costsOf, recordsOf } from "./records-of.ts";
export { openStore, type Store, type StoreOptions } from "./store.ts";
