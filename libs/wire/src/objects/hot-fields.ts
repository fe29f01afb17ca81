import type { HotReader, HotWriter } from "../hot-bytes.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** A string field, left out when it is empty. Object ids are ASCII: those are written without a detour. */
export function writeText(writer: HotWriter, tag: number, text: string): void {
  if (text === "") return;
  const start = writer.at;
  writer.varint(tag);
  writer.varint(text.length);
  if (writer.ascii(text)) return;
  writer.at = start;
  const bytes = encoder.encode(text);
  writer.varint(tag);
  writer.varint(bytes.length);
  writer.raw(bytes);
}

/** A string field. Operations in a row are mostly on one object: `last` is given back when it is the same again. */
export function readText(reader: HotReader, limit: number, last: string): string {
  const view = reader.view(limit);
  if (reader.isOdd) return "";
  if (view.length === last.length && isSame(view, last)) return last;
  try {
    return decoder.decode(view);
  } catch {
    reader.isOdd = true;
    return "";
  }
}

function isSame(view: Uint8Array, text: string): boolean {
  for (let at = 0; at < view.length; at++) if (view[at] !== text.charCodeAt(at)) return false;
  return true;
}

/** A packed field of sint64. */
export function writeNumbers(writer: HotWriter, tag: number, numbers: readonly number[]): void {
  if (numbers.length === 0) return;
  const guess = numbers.length * 2;
  const start = writer.open(tag, guess);
  for (const number of numbers) writer.varint(number >= 0 ? number * 2 : -2 * number - 1);
  writer.close(start, guess);
}

export function readNumbers(reader: HotReader, limit: number): number[] {
  const end = reader.end(limit);
  const numbers: number[] = [];
  while (reader.at < end && !reader.isOdd) {
    const zigzag = reader.number();
    numbers.push(zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2);
  }
  reader.leave(end);
  return numbers;
}

/** Whether a number survives `writeNumbers` and `readNumbers`: what is larger goes by the generated code. */
export function isPlainNumber(number: number): boolean {
  return Number.isInteger(number) && Math.abs(number) < 2 ** 47;
}
