import { OUTPUT_LINE_BYTES_MAX, STDERR_TAIL_BYTES } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { LineSplitter, Tail } from "./lines.ts";

function split(pieces: readonly Buffer[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const piece of pieces) splitter.push(piece);
  splitter.end();
  return lines;
}

const cut = (bytes: Buffer, step: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => bytes.subarray(i * step, (i + 1) * step));

describe("output", () => {
  test("is the same lines, wherever the stream was cut, characters of several bytes included", () => {
    const text = "plain\n\nzwölf Boxkämpfer 🥊\r\n\u001b[31mred\u001b[0m\nlast";
    for (const step of [1, 2, 3, 5, 100]) expect(split(cut(Buffer.from(text), step))).toEqual(text.split("\n"));
  });

  test("of one long line comes in pieces that are full and split no character", () => {
    const text = `a${"🥊".repeat(OUTPUT_LINE_BYTES_MAX)}`;
    for (const step of [1_000, 65_536, 10_000_000]) {
      const lines = split(cut(Buffer.from(text), step));
      expect(lines.join("")).toBe(text);
      for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(OUTPUT_LINE_BYTES_MAX);
      expect(Buffer.byteLength(lines[0] ?? "")).toBeGreaterThan(OUTPUT_LINE_BYTES_MAX - 4);
    }
  });

  test("that is no text at all still comes in bounded pieces", () => {
    const lines = split([Buffer.alloc(3 * OUTPUT_LINE_BYTES_MAX, 0x80)]);
    expect(lines).toHaveLength(3);
  });

  test("that ends with a line end has no empty last line", () => {
    expect(split([Buffer.from("a\n")])).toEqual(["a"]);
    expect(split([])).toEqual([]);
  });
});

describe("the end of a stream", () => {
  test("is all of it while it is short, and its last bytes when it is long", () => {
    const tail = new Tail();
    tail.push(Buffer.from("short"));
    expect(String(tail)).toBe("short");
    for (let i = 0; i < 2_000; i++) tail.push(Buffer.from(`${i} `));
    expect(Buffer.byteLength(String(tail))).toBe(STDERR_TAIL_BYTES);
    expect(String(tail)).toMatch(/ 1998 1999 $/);
    tail.push(Buffer.alloc(100_000, "x"));
    expect(String(tail)).toBe("x".repeat(STDERR_TAIL_BYTES));
  });

  test("begins with a whole character", () => {
    const tail = new Tail();
    tail.push(Buffer.from(`${"🥊".repeat(STDERR_TAIL_BYTES)}abc`));
    expect(String(tail)).toMatch(/^🥊+abc$/u);
  });
});
