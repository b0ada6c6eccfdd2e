/**
 * A table that is sorted by a click on a column's head.
 *
 * @module
 */

import { type Child, el, replace } from "../dom.ts";

/** What has come of copying is told for so long, ms. */
const TOLD_MS = 2_000;

/** A column. */
export interface Column<Row> {
  /** Above it. */
  head: string;
  /** What stands in it. */
  cell: (row: Row) => Child;
  /** What it is sorted by; without it, it is not. */
  key?: (row: Row) => string | number;
  /** To the right. */
  isNumber?: boolean;
}

/** See the module. */
export class Table<Row> {
  /** To be put into the page. */
  readonly element: HTMLElement;
  readonly #columns: readonly Column<Row>[];
  readonly #empty: string;
  readonly #head = el("thead");
  readonly #body = el("tbody");
  readonly #none = el("p", { class: "secondary", hidden: true });
  #rows: readonly Row[] = [];
  #by = -1;
  #isDown = false;

  /** `empty`: what is said where there are no rows. */
  constructor(label: string, columns: readonly Column<Row>[], empty: string) {
    this.#columns = columns;
    this.#empty = empty;
    this.element = el(
      "div",
      { class: "table" },
      el("table", { "aria-label": label }, this.#head, this.#body),
      this.#none,
    );
    this.#drawHead();
  }

  /** A button that copies what stands in it, as a spreadsheet takes it. */
  copyButton(): HTMLElement {
    const button = el("button", {
      type: "button",
      class: "button small",
      onclick: async () => {
        const rows = [...this.element.querySelectorAll("tr")].map((row) =>
          [...row.cells].map(({ textContent }) => textContent?.replace(/\s+/g, " ").trim()).join("\t")
        );
        const isCopied = await navigator.clipboard.writeText(rows.join("\n")).then(() => true, () => false);
        button.textContent = isCopied ? "Copied" : "Cannot copy";
        setTimeout(() => button.textContent = "Copy", TOLD_MS);
      },
    }, "Copy");
    return button;
  }

  /** Shows these. */
  show(rows: readonly Row[]): void {
    this.#rows = rows;
    this.#draw();
  }

  #sort(column: number): void {
    this.#isDown = this.#by === column && !this.#isDown;
    this.#by = column;
    this.#drawHead();
    this.#draw();
    this.#head.querySelectorAll("th")[column]?.querySelector("button")?.focus();
  }

  #drawHead(): void {
    const cells = this.#columns.map(({ head, key, isNumber }, index) => {
      const isBy = this.#by === index;
      const mark = isBy ? this.#isDown ? " ↓" : " ↑" : "";
      return el(
        "th",
        {
          scope: "col",
          class: isNumber && "number",
          "aria-sort": isBy ? this.#isDown ? "descending" : "ascending" : null,
        },
        key ? el("button", { type: "button", onclick: () => this.#sort(index) }, head + mark) : head,
      );
    });
    replace(this.#head, el("tr", {}, ...cells));
  }

  /** Where the keyboard is in the body: it stays there when that is drawn anew. */
  #focused(): { row: number; cell: number } | undefined {
    const cell = document.activeElement?.closest("td");
    const row = cell?.parentElement;
    if (!cell || !(row instanceof HTMLTableRowElement) || !this.#body.contains(row)) return undefined;
    return { row: row.sectionRowIndex, cell: cell.cellIndex };
  }

  #draw(): void {
    const key = this.#columns[this.#by]?.key;
    const rows = key
      ? this.#rows.toSorted((a, b) => compare(key(a), key(b)) * (this.#isDown ? -1 : 1))
      : this.#rows;
    const focused = this.#focused();
    replace(
      this.#body,
      ...rows.map((row) =>
        el(
          "tr",
          {},
          ...this.#columns.map(({ cell, isNumber }) =>
            el("td", { class: isNumber && "number", dir: "auto" }, cell(row))
          ),
        )
      ),
    );
    if (focused) {
      this.#body.rows[focused.row]?.cells[focused.cell]?.querySelector<HTMLElement>("a, button")?.focus();
    }
    this.#head.hidden = rows.length === 0;
    this.#none.hidden = rows.length > 0;
    this.#none.textContent = this.#empty;
  }
}

function compare(a: string | number, b: string | number): number {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}
