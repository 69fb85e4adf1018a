import { it } from "vitest";
import { comparisonTables, renderTable } from "../../src/compare/table.ts";
import { richComparison } from "./measured-fixture.ts";
it("look", () => {
  const { tables, crossovers, notes } = comparisonTables(richComparison());
  for (const columns of [Number(process.env.COLS ?? 100)]) {
    console.log(tables.map((table) => renderTable(table, columns, (t) => `\u001b[1m${t}\u001b[0m`)).join("\n\n"));
    console.log(crossovers.join("\n"));
    console.log(notes.join("\n"));
  }
});
