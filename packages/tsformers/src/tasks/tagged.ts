import { nextForm, packed, type Row } from "./row-forms.ts";
import type { RowForm } from "./rows.ts";
import type { Batch } from "./task.ts";

/** Rows with a class at each position; those of weight 0 are read, but not scored. */
export const taggedForm: RowForm<Row, Batch> = {
  ...nextForm,
  pack: (rows, batchSize, length) => ({
    ...nextForm.pack(rows, batchSize, length),
    mask: packed(
      rows.map(({ inputs }) => inputs.map(() => 1)),
      "float32",
      batchSize,
      length,
    ),
  }),
};
