/** Where the code of this runtime lies: its frames below user code are of no use to the user. */
const RUNTIME = new URL(".", import.meta.url).href;

/** Takes the worker's own frames off the ends of the stacks of an error, its causes and its errors. */
export function trimStacks(error: unknown, seen = new Set<unknown>()): void {
  if (!(error instanceof Error) || seen.has(error)) return;
  seen.add(error);
  trim(error);
  trimStacks(
    quietly(() => error.cause),
    seen,
  );
  if (!(error instanceof AggregateError)) return;
  const errors = quietly(() => error.errors);
  if (Array.isArray(errors)) for (const one of errors) trimStacks(one, seen);
}

function trim(error: Error): void {
  const stack = quietly(() => error.stack);
  if (typeof stack !== "string" || !stack.includes(RUNTIME)) return;
  const lines = stack.split("\n");
  const isUseless = (line: string | undefined): boolean =>
    line !== undefined && /^\s+at /.test(line) && (line.includes(RUNTIME) || /[( ]node:/.test(line));
  while (isUseless(lines.at(-1))) lines.pop();
  try {
    Object.defineProperty(error, "stack", {
      value: lines.join("\n"),
      enumerable: false,
      configurable: true,
      writable: true,
    });
  } catch {
    // a frozen error keeps its stack
  }
}

/** What a getter of the user's gives; undefined when it throws. */
function quietly(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}
