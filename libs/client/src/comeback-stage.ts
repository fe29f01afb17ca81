/** What tests of clients whose coordinator is replaced have in common. */
import { FakeCoordinator, settle } from "./testing.ts";

/** What the jobs of these tests run. */
export const square = (n: number): number => n * n;

/** A client whose coordinator is the test's, with a pool. The caller disposes `fake`. */
export function stage(slots?: number) {
  const fake = new FakeCoordinator(slots);
  const pool = fake.fabric.pool();
  /** Answers in the session at hand. */
  const span = (chunk: number, offset: number, values: readonly unknown[]): void =>
    fake.answer(1, chunk, values, { span: { offset, count: values.length } });
  const offered = () =>
    fake.said("offerChunk").map(({ chunk, firstIndex, settled }) => ({ chunk, firstIndex, settled }));
  const sealed = () => fake.said("sealJob").map(({ chunkCount }) => chunkCount);
  return { fake, pool, span, offered, sealed };
}

/** The coordinator dies, and another begins that knows nothing. */
export async function replace(fake: FakeCoordinator, minor?: number): Promise<void> {
  await settle();
  await fake.kill();
  await settle();
  await fake.begin(minor);
  if (!(await fake.dialled())) throw new Error("the client has not come back");
}

/** All that comes. */
export async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const value of values) seen.push(value);
  return seen;
}
