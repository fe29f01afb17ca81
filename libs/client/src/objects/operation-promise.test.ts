import { expect, test } from "vitest";
import { OperationPromise } from "./operation-promise.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("the stack of an error names the async functions that await the operation", async () => {
  const ask = (): Promise<number> => {
    const promise = new OperationPromise<number>();
    setImmediate(() => promise.fail({ make: () => new RangeError("index 7 of 3"), isOurs: true }));
    return promise;
  };
  async function userOfTheList(): Promise<number> {
    return await ask();
  }
  const error = await userOfTheList().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RangeError);
  expect((error as Error).stack).toContain("userOfTheList");
});

test("one that nobody looks at never rejects, and who looks later gets the error", async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listen);
  try {
    const promise = new OperationPromise<number>();
    promise.fail({ make: () => new RangeError("late"), isOurs: true });
    await turn();
    await turn();
    expect([promise.isObserved, unhandled]).toEqual([false, []]);
    await expect(promise).rejects.toThrow("late");
    expect(promise.isObserved).toBe(true);
  } finally {
    process.off("unhandledRejection", listen);
  }
});

test.each([
  ["await", async (promise: Promise<number>) => await promise],
  ["then", (promise: Promise<number>) => promise.then((value) => value)],
  ["catch", (promise: Promise<number>) => promise.catch(() => 0)],
  ["finally", (promise: Promise<number>) => promise.finally(() => undefined)],
  ["Promise.all", async (promise: Promise<number>) => (await Promise.all([promise]))[0]],
])("%s looks at it", async (_, look) => {
  const promise = new OperationPromise<number>();
  const looked = look(promise);
  promise.fulfil(4);
  expect(await looked).toBe(4);
  expect(promise.isObserved).toBe(true);
});

test("what then gives is an ordinary promise", () => {
  const promise = new OperationPromise<number>();
  expect(promise.then(() => 1).constructor).toBe(Promise);
  promise.fulfil(1);
});
