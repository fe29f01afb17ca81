import type { Question, Said } from "./companion.ts";

type Method = (...args: never[]) => unknown;

/** The other side of a Companion: answers its questions by these methods until that is gone, and then ends this process. */
export function serve(methods: Readonly<Record<string, Method>>): void {
  process.on("message", ({ id, method, args }: Question) => {
    const answer = async (): Promise<unknown> => {
      const found = methods[method];
      if (found === undefined) throw new RangeError(`there is no method ${method}`);
      return await Reflect.apply(found, undefined, args);
    };
    answer().then(
      (value) => say({ id, value }),
      (error: unknown) => say({ id, error: errorWords(error) }),
    );
  });
  process.on("disconnect", () => process.exit(0));
}

/** Tells of something. Resolves when it is on its way, so that killing this process does not take it back. */
export function tell<Event>(event: Event): Promise<void> {
  return say({ event });
}

export function errorWords(error: unknown): { readonly name: string; readonly message: string } {
  return error instanceof Error
    ? { name: error.name, message: error.message }
    : { name: "no error", message: String(error) };
}

function say<Event>(said: Said<Event>): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(said, undefined, undefined, () => resolve());
    else resolve();
  });
}
