import type { Fabric, Manager } from "heddle";
import { afterAll, beforeAll, describe } from "vitest";

/** Two sessions with the manager of one fabric. */
export interface ObjectsRun extends AsyncDisposable {
  readonly fabric: Fabric;
  readonly manager: Manager;
  readonly other: Manager;
}

export type GetRun = () => ObjectsRun;

/** A description that is filled by `describers` with a fabric of its own. */
export function describeObjects(
  name: string,
  start: () => Promise<ObjectsRun>,
  describers: readonly ((get: GetRun) => void)[],
): void {
  describe(name, () => {
    let run: ObjectsRun;
    beforeAll(async () => {
      run = await start();
    });
    afterAll(async () => {
      await run[Symbol.asyncDispose]();
    });
    for (const describer of describers) describer(() => run);
  });
}

/** Everything that an iterable gives. */
export async function taken<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of iterable) all.push(one);
  return all;
}

let names = 0;
/** A name that no other test has. */
export function freshName(): string {
  return `name-${++names}`;
}
