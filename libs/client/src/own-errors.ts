import {
  CaptureError,
  HeddleError,
  heddleError,
  LimitError,
  LockLostError,
  SerializationError,
  WorkerLostError,
} from "@heddle/kernel";

/**
 * An error of ours that a task let pass (of a pool of its own, say), as its own class again, with its fields, cause and stack. Anything
 * else, and what only looks like one, comes back as it is.
 */
export function ownError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof HeddleError || error.constructor !== Error) return error;
  const fields = error as Error & Readonly<Record<string, unknown>>;
  const made = typeof fields.code === "string" ? make(error.name, fields.code, fields) : undefined;
  if (made === undefined || made.name !== error.name) return error;
  const { name: _name, ...own } = Object.fromEntries(Object.entries(error));
  Object.assign(made, own);
  const { stack, cause } = error;
  const hidden = { enumerable: false, configurable: true, writable: true };
  Object.defineProperty(made, "stack", { value: stack, ...hidden });
  if (Object.hasOwn(error, "cause")) Object.defineProperty(made, "cause", { value: cause, ...hidden });
  return made;
}

type Fields = Error & Readonly<Record<string, unknown>>;

/** Own fields are put in afterwards: here only the class matters. */
function make(name: string, code: string, { message }: Fields): HeddleError | undefined {
  switch (name) {
    case "CaptureError":
      return new CaptureError(message, { variable: "", path: "", file: "", line: 0 });
    case "SerializationError":
      return new SerializationError(message, { path: "", side: "value" });
    case "LimitError":
      return new LimitError("", 0, 0, message);
    case "LockLostError":
      return new LockLostError(message, { lock: "", token: 0n, reason: "" });
    case "WorkerLostError":
      return new WorkerLostError(message, NO_LOSS);
    default:
      return heddleError(code, message);
  }
}

const NO_LOSS = {
  index: 0,
  node: "",
  pid: 0,
  signal: null,
  exitCode: null,
  rssBytes: 0,
  attempts: 0,
  stderrTail: "",
} as const;
