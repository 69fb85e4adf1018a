import { openStore } from "../../src/store/index.ts";
import { recordsOf } from "../../src/store/records-of.ts";
import { comparisonFixture } from "../compare/exports-fixture.ts";

/** Adds runs to the store of a folder for as long as it lives, and prints how many times it has. Arguments: folder, name. */
const [folder, name] = process.argv.slice(2) as [string, string];
const records = recordsOf(comparisonFixture(), `compare-${name}`);
const store = await openStore(folder, { onNote: (text) => process.stderr.write(`${text}\n`) });
for (let i = 0; ; i++) {
  await store.add(records.map((record) => ({ ...record, folder: `${record.folder}-${name}-${i}` })));
  process.stdout.write(`${i + 1}\n`);
}
