import { type Child, h, toggle } from "./dom.ts";

export type Column<Row> = {
  readonly name: string;
  /** What a tooltip says of it. */
  readonly about?: string;
  /** By what the column is sorted; absent ones come last. Without it the column cannot be sorted. */
  readonly value?: (row: Row) => number | string | undefined;
  readonly cell: (row: Row) => Child;
  readonly text?: boolean;
  readonly class?: string;
  /** Whether cards leave it out until they are asked for all. */
  readonly minor?: boolean;
  /** Whether the first click sorts the largest first. */
  readonly largestFirst?: boolean;
};

export type TableOptions<Row> = {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowClass?: (row: Row) => string | undefined;
  /** On narrow screens rows become cards. Default: the table scrolls. */
  readonly cards?: boolean;
  readonly onSort?: (sort: Sort) => void;
  readonly sort?: Sort | undefined;
};

export type Sort = { readonly column: string; readonly descending: boolean };

/** A table whose columns can be sorted, with its header and first column in sight, and a hint where columns are out of sight. */
export function dataTable<Row>(options: TableOptions<Row>): HTMLElement {
  const { caption, columns, cards = false } = options;
  let { sort } = options;
  const body = h("tbody", { role: "rowgroup" });
  const heads = columns.map((column) => {
    const head = h("th", {
      scope: "col",
      role: "columnheader",
      class: classes(column.text && "text", column.class),
      title: column.about,
    });
    if (column.value === undefined) head.append(column.name);
    else
      head.append(
        h("button", { type: "button", class: "sort", click: () => sortBy(column) }, h("span", {}, column.name)),
      );
    return head;
  });
  const picker = h("select", { "aria-label": `sort ${caption} by`, change: () => pick() });
  for (const column of columns)
    if (column.value !== undefined) picker.append(h("option", { value: column.name }, column.name));

  function pick(): void {
    const column = columns.find(({ name }) => name === picker.value)!;
    apply({ column: column.name, descending: column.largestFirst ?? false });
  }
  function sortBy({ name, largestFirst = false }: Column<Row>): void {
    apply({ column: name, descending: sort?.column === name ? !sort.descending : largestFirst });
  }
  function apply(next: Sort): void {
    sort = next;
    options.onSort?.(next);
    fill();
  }
  function fill(): void {
    heads.forEach((head, i) => {
      const isSorted = sort?.column === columns[i]!.name;
      if (isSorted) head.setAttribute("aria-sort", sort!.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    if (sort !== undefined) picker.value = sort.column;
    body.replaceChildren(...sorted(options.rows, columns, sort).map((row) => rowOf(row, options)));
  }
  fill();
  const table = h(
    "table",
    { role: "table", class: cards ? "cards" : undefined },
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)),
    body,
  );
  const hasMinor = columns.some(({ minor }) => minor);
  const all = toggle("All columns", false, () => {
    all.setAttribute("aria-pressed", String(table.classList.toggle("whole")));
  });
  const sorter = h("div", { class: "sorter" }, h("label", {}, "Sort by ", picker), hasMinor ? all : undefined);
  return h("div", { class: "table" }, cards ? sorter : undefined, ...scrolling(table, caption));
}

function rowOf<Row>(row: Row, { columns, rowClass }: TableOptions<Row>): HTMLElement {
  const cells = columns.map((column, i) => {
    const attributes = {
      class: classes(column.text && "text", column.minor && "minor", column.class),
      "data-label": column.name,
    };
    const content = column.cell(row);
    return i === 0
      ? h("th", { scope: "row", role: "rowheader", ...attributes }, content)
      : h("td", { role: "cell", ...attributes }, content);
  });
  return h("tr", { role: "row", class: rowClass?.(row) }, ...cells);
}

function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: Sort | undefined): Row[] {
  const value = columns.find(({ name }) => name === sort?.column)?.value;
  if (sort === undefined || value === undefined) return [...rows];
  const sign = sort.descending ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (isMissing(a) || isMissing(b)) return Number(isMissing(a)) - Number(isMissing(b));
    return sign * (typeof a === "string" ? a.localeCompare(String(b), "en", { numeric: true }) : a - Number(b));
  });
}

function isMissing(value: number | string | undefined): value is undefined {
  return value === undefined || (typeof value !== "string" && !Number.isFinite(value));
}

/** The table in a box of its own, which scrolls, and says how many columns are out of sight. */
function scrolling(table: HTMLTableElement, caption: string): HTMLElement[] {
  const box = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table);
  const more = h("button", {
    type: "button",
    class: "more",
    hidden: true,
    click: () => box.scrollBy({ left: box.clientWidth * 0.7, behavior: "smooth" }),
  });
  const update = () => {
    const edge = box.getBoundingClientRect().right;
    const heads = [...table.querySelectorAll("thead th")];
    const unseen = heads.filter((head) => head.getBoundingClientRect().right > edge + 8).length;
    more.hidden = unseen === 0 || heads[0]!.getBoundingClientRect().width === 0;
    more.textContent = `${unseen} more ${unseen === 1 ? "column" : "columns"} →`;
    box.classList.toggle("cut", !more.hidden);
  };
  box.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(box);
  return [more, box];
}

function classes(...names: readonly (string | false | undefined)[]): string | undefined {
  return names.filter(Boolean).join(" ") || undefined;
}
