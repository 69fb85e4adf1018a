import type { CellAbout } from "../results.ts";

/** What a row keeps of the past at the training length; where that was not asked for, at the first length that was. */
export function stateOfCell(
  cell: Pick<CellAbout, "stateBytes"> | undefined,
  trainLength: number,
): NonNullable<CellAbout["stateBytes"]>[number] | undefined {
  return cell?.stateBytes?.find(({ length }) => length === trainLength) ?? cell?.stateBytes?.[0];
}
