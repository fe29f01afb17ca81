import type { LogFields, Logger } from "@heddle/kernel";

/** What was logged, and a way to wait for it. */
export interface KeptLog {
  readonly logger: Logger;
  /** The fields of all lines of this message so far. */
  of(message: string): LogFields[];
  /** Resolves with those once there are `count`. */
  until(message: string, count?: number): Promise<LogFields[]>;
}

/** A log that keeps every line. */
export function keptLog(): KeptLog {
  const lines: { readonly message: string; readonly fields: LogFields }[] = [];
  const waiting = new Set<() => void>();
  const add = (message: string, fields: LogFields = {}): void => {
    lines.push({ message, fields });
    for (const wake of [...waiting]) wake();
  };
  const of = (message: string): LogFields[] =>
    lines.filter((line) => line.message === message).map(({ fields }) => fields);
  return {
    logger: { debug: add, info: add, warn: add, error: add },
    of,
    until: async (message, count = 1) => {
      while (of(message).length < count) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
      return of(message);
    },
  };
}
