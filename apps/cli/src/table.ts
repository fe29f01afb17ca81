/** Space between columns. */
const GAP = "   ";

/** One column: its heading and what a row shows there. */
export interface Column<T> {
  readonly heading: string;
  readonly cell: (item: T) => string;
  /** Only with `-o wide`. */
  readonly isWide?: boolean;
}

/** Writes rows as kubectl does: capital headings, columns as wide as their widest cell so far, nothing behind the last one. */
export class Table<T> {
  readonly #columns: readonly Column<T>[];
  readonly #widths: number[];
  #isHeadingDue: boolean;

  constructor(columns: readonly Column<T>[], options: { readonly wide: boolean; readonly headings: boolean }) {
    this.#columns = columns.filter(({ isWide }) => options.wide || isWide !== true);
    this.#widths = this.#columns.map(({ heading }) => (options.headings ? heading.length : 0));
    this.#isHeadingDue = options.headings;
  }

  /** Lines for these items, under the headings if they were not given out yet. */
  lines(items: readonly T[]): string[] {
    const rows = items.map((item) => this.#columns.map(({ cell }) => cell(item)));
    for (const row of rows)
      for (const [index, text] of row.entries())
        this.#widths[index] = Math.max(this.#widths[index] ?? 0, displayWidth(text));
    if (this.#isHeadingDue) rows.unshift(this.#columns.map(({ heading }) => heading));
    this.#isHeadingDue = false;
    return rows.map((row) => this.#line(row));
  }

  #line(row: readonly string[]): string {
    return row
      .map((text, index) => text + " ".repeat(Math.max(0, (this.#widths[index] ?? 0) - displayWidth(text))))
      .join(GAP)
      .trimEnd();
  }
}

/** Characters as people count them; wide ones of East Asia are taken as two. */
function displayWidth(text: string): number {
  let width = 0;
  for (const char of text)
    width += /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}/u.test(char) ? 2 : 1;
  return width;
}
