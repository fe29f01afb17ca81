/** What could steer a terminal or break a table: control characters, C1 included, and marks that turn the direction of writing. */
const STEERING = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text of a user's, or of a node's, as one line that may be shown: no control characters, cut at so many. */
export function plainLine(text: string, lengthMax: number): string {
  return text
    .slice(0, 2 * lengthMax)
    .replace(STEERING, " ")
    .trim()
    .slice(0, lengthMax);
}

/** The last lines of such a text that have at most so many characters together; empty ones are left out. */
export function lastLines(text: string, lengthMax: number): string[] {
  const lines = text.slice(-lengthMax).split(/[\r\n]+/);
  return lines.map((line) => plainLine(line, lengthMax)).filter((line) => line !== "");
}
