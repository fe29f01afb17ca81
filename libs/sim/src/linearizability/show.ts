import type { Answer, Operation } from "./history.ts";
import { SHOWN_CHARS_MAX } from "./limits.ts";

/** A value in words, at most SHOWN_CHARS_MAX characters of it. */
export function show(value: unknown): string {
  const text = textOf(value);
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}... (${text.length} characters)`;
}

/** Such as `client 3 [120 .. 125] append(value: 7) -> done`. */
export function showOperation(operation: Operation<unknown>): string {
  const { client, input, invokedAt, returnedAt, output } = operation;
  const outcome = output === undefined ? "outcome unknown" : showAnswer(output);
  return `client ${client} [${invokedAt} .. ${returnedAt ?? "?"}] ${showInput(input)} -> ${outcome}`;
}

export function showAnswer(answer: Answer): string {
  if ("error" in answer) return answer.error;
  return answer.value === undefined ? "done" : show(answer.value);
}

function showInput(input: unknown): string {
  if (typeof input !== "object" || input === null || !("type" in input)) return show(input);
  const { type, ...rest } = input;
  const fields = Object.entries(rest).map(([name, value]) => `${name}: ${show(value)}`);
  return `${String(type)}(${fields.join(", ")})`;
}

function textOf(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return `[${value.map(textOf).join(", ")}]`;
  if (ArrayBuffer.isView(value) && Symbol.iterator in value) return textOf(Array.from(value as Iterable<unknown>));
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `${textOf(key)}: ${textOf(item)}`).join(", ")}}`;
  if (value instanceof Set) return `{${[...value].map(textOf).join(", ")}}`;
  if (Object.prototype.toString.call(value) === "[object Date]") return String(value);
  return `{${Object.entries(value)
    .map(([name, item]) => `${name}: ${textOf(item)}`)
    .join(", ")}}`;
}
