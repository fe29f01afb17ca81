import { UnavailableError } from "@heddle/kernel";
import { type Shared, type SharedDescription, shared } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { FakeCoordinator, settle } from "./testing.ts";

/** A handle whose object is made when it is first described. */
class Handle implements Shared {
  readonly made = Promise.withResolvers<void>();
  pending: Promise<void> | undefined;
  /** How often it was told that what it was described for came to nothing. */
  again = 0;
  #isDescribed = false;

  askedAgain(): void {
    this.again++;
  }

  [shared](): SharedDescription {
    if (!this.#isDescribed) {
      this.#isDescribed = true;
      this.pending = this.made.promise;
      const there = (): void => {
        this.pending = undefined;
      };
      this.pending.then(there, there);
    }
    return { kind: "list", object: "@l" };
  }
}

function fabricOf(): FakeCoordinator {
  const fake = new FakeCoordinator();
  onTestFinished(() => fake[Symbol.asyncDispose]());
  return fake;
}

const identity = (value: unknown): unknown => value;
const chunksOf = (fake: FakeCoordinator): number =>
  fake.entries.filter(({ kind }) => kind?.$case === "offerChunk").length;

test("a chunk leaves once the objects are there whose handles are in it", async () => {
  const fake = fabricOf();
  const [one, two] = [new Handle(), new Handle()];
  void fake.fabric.pool().mapAsync(identity, [one, { two }, one], { chunkSize: 3 });
  await settle();
  expect(chunksOf(fake)).toBe(0);
  one.made.resolve();
  await settle();
  expect(chunksOf(fake)).toBe(0);
  two.made.resolve();
  await settle();
  expect(chunksOf(fake)).toBe(1);
  expect([one.again, two.again]).toEqual([2, 1]);
});

test("an object that cannot be made fails the call that would send its handle", async () => {
  const fake = fabricOf();
  const handle = new Handle();
  const result = fake.fabric.pool().mapAsync(identity, [handle]);
  await settle();
  handle.made.reject(new UnavailableError("the manager cannot be reached"));
  await expect(result.get()).rejects.toThrow(new UnavailableError("the manager cannot be reached"));
});
