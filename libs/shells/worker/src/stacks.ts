/** Where the code of this runtime lies: this folder as sources, one file when built. */
const RUNTIME = import.meta.url.endsWith(".ts") ? new URL(".", import.meta.url).href : import.meta.url;

/**
 * Leaves of the stacks of an error, its causes and its errors what the user knows: the worker's own frames and all below them go, and so
 * do Node's inner ones. What is no stack of frames stays as it is.
 */
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
  if (typeof stack !== "string") return;
  const trimmed = trimmedStack(stack, RUNTIME);
  if (trimmed === stack) return;
  try {
    Object.defineProperty(error, "stack", { value: trimmed, enumerable: false, configurable: true, writable: true });
  } catch {
    // a frozen error keeps its stack
  }
}

/** A stack as it is shown to users. `runtime`: what the places of the worker's own frames begin with. */
export function trimmedStack(stack: string, runtime: string): string {
  const lines = stack.split("\n");
  const isOwn = (line: string): boolean => isFrame(line) && line.includes(runtime);
  // Frames of ours on top threw it, at the user's call; those below called the user.
  const top = lines.findIndex((line) => isFrame(line) && !isOwn(line));
  const below = top === -1 ? -1 : lines.findIndex((line, at) => at > top && isOwn(line));
  const kept = below === -1 ? lines : lines.slice(0, below);
  const shown = kept.filter((line) => !isInner(line));
  while (isNodes(shown.at(-1))) shown.pop();
  return shown.join("\n");
}

function isFrame(line: string): boolean {
  return /^\s+at /.test(line);
}

/** Of how Node works inside. */
function isInner(line: string): boolean {
  return isFrame(line) && /[( ]node:internal\//.test(line);
}

/** Of Node, and at the end of a stack: it called, it was not called. */
function isNodes(line: string | undefined): boolean {
  return line !== undefined && isFrame(line) && /[( ]node:/.test(line);
}

/** What a getter of the user's gives; undefined when it throws. */
function quietly(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}
